def help_():
    pass
