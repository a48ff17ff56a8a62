from .second import go as _go


def run():
    _go()
