# also: main -> main.work
# also: main -> main.other
import threading


def work(f):
    f()


def one():
    pass


def other():
    pass


thread = threading.Thread(target=work, args=(one,))
thread.start()
thread.join()
timer = threading.Timer(0, other)
timer.start()
timer.join()
