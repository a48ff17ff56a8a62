from a import *

start()
Tool().run()
