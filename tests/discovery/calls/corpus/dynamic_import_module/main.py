import importlib

name = "other"
module = importlib.import_module(name)
module.work()
__import__("other").more()
