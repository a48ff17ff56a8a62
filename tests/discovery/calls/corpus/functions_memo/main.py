cache = {}


def memo(f):
    def inner(n):
        if n not in cache:
            cache[n] = f(n)
        return cache[n]

    return inner


@memo
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


fib(4)
