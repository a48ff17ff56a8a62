from c import Tool


def start():
    pass
