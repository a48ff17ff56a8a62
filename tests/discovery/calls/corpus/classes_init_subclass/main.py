class Base:
    registry = []

    def __init_subclass__(cls, **words):
        super().__init_subclass__(**words)
        Base.registry.append(cls)


class Plugin(Base):
    def run(self):
        pass


for plugin in Base.registry:
    plugin().run()
