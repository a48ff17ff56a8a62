import state
from other import change

state.current()
change()
state.current()
