def work(n):
    if n < 1:
        raise ValueError


def pause():
    pass


def after():
    pass


for n in range(2):
    try:
        work(n)
    except ValueError:
        pause()
        continue
    else:
        break
after()
