def register(cls):
    registry.append(cls)
    return cls


registry = []


@register
class Plugin:
    def run(self):
        pass


for plugin in registry:
    plugin().run()
