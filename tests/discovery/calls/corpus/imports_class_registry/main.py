import plugins
from base import registry

for cls in registry:
    cls().run()
