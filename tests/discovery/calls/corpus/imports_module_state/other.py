import state


def change():
    state.current = state.two
