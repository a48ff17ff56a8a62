from other import *

work()
