"""A PKCS#11 module that stands before another one and fails where the test wants: it is C, because modules are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to make a module with")

# CK_FUNCTION_LIST (PKCS#11 2.40, 3.6): a version, then the functions in the order of the standard.
_SOURCE = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct list { unsigned char version[2]; void *functions[68]; };
typedef unsigned long (*get_list)(struct list **);
typedef unsigned long (*login)(unsigned long, unsigned long, unsigned char *, unsigned long);
typedef unsigned long (*sign)(unsigned long, unsigned char *, unsigned long, unsigned char *, unsigned long *);
typedef unsigned long (*start)(unsigned long, unsigned long *, unsigned long);
typedef unsigned long (*decrypt)(unsigned long, unsigned char *, unsigned long, unsigned char *, unsigned long *);
enum { LOGIN = 18, DECRYPT_START = 33, DECRYPT = 34, SIGN = 43 };

static struct list *real, own;

static void counted(const char *name) {
    FILE *file = fopen(getenv("BROKEN_CALLS"), "a");
    if (file) { fprintf(file, "%s\n", name); fclose(file); }
}

static int ordered(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s.%s", getenv("BROKEN_CALLS"), name);
    return access(path, F_OK) == 0;
}

static unsigned long own_login(unsigned long session, unsigned long user, unsigned char *pin, unsigned long size) {
    counted("login");
    if (ordered("login-crash")) abort();
    if (ordered("login-error")) return 5; /* CKR_GENERAL_ERROR */
    return ((login)real->functions[LOGIN])(session, user, pin, size);
}

static unsigned long own_sign(unsigned long session, unsigned char *data, unsigned long size, unsigned char *made, unsigned long *room) {
    if (made && ordered("sign-crash")) abort();
    unsigned long result = ((sign)real->functions[SIGN])(session, data, size, made, room);
    if (made && ordered("sign-wrong")) made[0] ^= 1;
    return result;
}

static unsigned long own_decrypt_start(unsigned long session, unsigned long *mechanism, unsigned long key) {
    if (*mechanism == 3 && ordered("raw-forbidden")) return 0x70; /* CKM_RSA_X_509, CKR_MECHANISM_INVALID */
    return ((start)real->functions[DECRYPT_START])(session, mechanism, key);
}

static unsigned long own_decrypt(unsigned long session, unsigned char *data, unsigned long size, unsigned char *made, unsigned long *room) {
    unsigned long result = ((decrypt)real->functions[DECRYPT])(session, data, size, made, room);
    if (result && ordered("odd-padding-error")) return 0x30; /* CKR_DEVICE_ERROR */
    return result;
}

unsigned long C_GetFunctionList(struct list **told) {
    void *module = dlopen(getenv("BROKEN_MODULE"), RTLD_NOW);
    if (!module) return 5;
    unsigned long result = ((get_list)dlsym(module, "C_GetFunctionList"))(&real);
    own = *real;
    own.functions[LOGIN] = own_login;
    own.functions[SIGN] = own_sign;
    own.functions[DECRYPT_START] = own_decrypt_start;
    own.functions[DECRYPT] = own_decrypt;
    *told = &own;
    return result;
}
"""


class BrokenModule:
    """The compiled module; ``order`` makes it fail, ``mend`` stops that. It is behind what ``environment`` says."""

    def __init__(self, directory: Path, module: str) -> None:
        self._calls = directory / "calls"
        self.path = directory / "broken.so"
        source = directory / "broken.c"
        source.write_text(_SOURCE)
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-o", str(self.path), str(source), "-ldl"], check=True, timeout=60
        )  # fmt: skip
        self.environment = {"BROKEN_MODULE": module, "BROKEN_CALLS": str(self._calls)}

    @property
    def logins(self) -> int:
        """How often the module was asked to log in."""
        return self._calls.read_text().count("login") if self._calls.exists() else 0

    def order(self, fault: str) -> None:
        """One of login-crash, login-error, sign-crash, sign-wrong, raw-forbidden, odd-padding-error."""
        Path(f"{self._calls}.{fault}").touch()

    def mend(self, fault: str) -> None:
        Path(f"{self._calls}.{fault}").unlink()
