registry = []


class Plugin:
    def __init_subclass__(cls):
        registry.append(cls)
