# SPDX-License-Identifier: Apache-2.0
"""The wall clock of the workers stepped forward and back (libfaketime), with jobs running, delayed and retried."""

import glob
import os
import unittest

from faulttest import FaultCase, by_length

LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"


class ClockTest(FaultCase):
    def test_clock_stepped(self):
        found = glob.glob(LIBRARY)
        if not found:
            self.skipTest("there is no libfaketime: scripts/deps check installs the package faketime")
        self.offset = os.path.join(self.folder, "offset")
        self.set_clock("+0")
        stepped = {"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": self.offset, "FAKETIME_NO_CACHE": "1",
                   "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        gateway = self.start_gateway()
        for _ in range(2):
            self.ready_worker(**stepped)
        load = self.start_load([gateway], by_length(900, 6000), 150, max_ms=50)
        delayed = self.start_load([gateway], by_length(150, 600), 50, max_ms=10, first=load.jobs,
                                  delay_ms=lambda number: 1500)
        steps = ("+1h", "-1h", "+30d", "+0") * by_length(1, 4)
        for offset in steps:
            self.set_clock(offset)
            self.pause(1.0, 1.5)
        delayed.join(60)
        self.assertFalse(delayed.is_alive(), delayed.answers)
        load.join()
        load.add(delayed)
        self.reconcile("wall clock of the workers stepped by -1 h to +30 d", load, late=5, faults=len(steps))

    def set_clock(self, offset):
        """In one step, for the library reads the file at each call."""
        with open(self.offset + ".new", "w", encoding="ascii") as file:
            file.write(offset + "\n")
        os.rename(self.offset + ".new", self.offset)


if __name__ == "__main__":
    unittest.main()
