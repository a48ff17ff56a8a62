def one():
    pass


(lambda f: f())(one)
