"""What needs no host. `petrel plugin test` runs cases/ in it."""

import unittest

import petrel_plugin.testing  # in the host's place, for what the plugin imports from there
from plugin import configure


class Configuration(unittest.TestCase):
    def test_without_keys_it_is_refused_with_what_to_do(self):
        with self.assertRaisesRegex(ValueError, "name an attribute"):
            configure.configured(b"{}")


if __name__ == "__main__":
    unittest.main()
