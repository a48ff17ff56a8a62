def run():
    from other import work

    work()


run()
