from dataclasses import dataclass, field


def one():
    pass


def fresh():
    return []


@dataclass
class Job:
    action: object
    log: list = field(default_factory=fresh)

    def __post_init__(self):
        self.check()

    def check(self):
        pass

    def run(self):
        self.action()


Job(one).run()
