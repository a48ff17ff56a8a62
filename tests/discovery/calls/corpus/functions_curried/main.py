def add(a):
    def with_b(b):
        def with_c(c):
            return a(b, c)

        return with_c

    return with_b


def total(b, c):
    pass


add(total)(1)(2)
