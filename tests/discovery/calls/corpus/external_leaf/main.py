import os
from os.path import join as glue


def one():
    os.getcwd()
    glue("a", "b")


one()
