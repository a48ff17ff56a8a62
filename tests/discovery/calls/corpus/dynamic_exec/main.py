def one():
    pass


exec("one()")
