import one
import two


def use(module):
    module.run()


use(one)
use(two)
