import threading


def work(f):
    f()


def one():
    pass


class Runner(threading.Thread):
    def run(self):
        pass


thread = threading.Thread(target=lambda: None)
thread.name
