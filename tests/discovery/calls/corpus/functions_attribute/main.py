def one():
    pass


def holder():
    pass


holder.callback = one
holder.callback()
