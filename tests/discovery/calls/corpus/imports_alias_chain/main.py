import package.first as p
from package import second as q
from package.first import run as r

p.run()
q.go()
r()
