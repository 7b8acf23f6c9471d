"""The platform's cryptography once more, from its definitions: shared code hides shared mistakes.

AES blocks come from the library; modes, padding, GHASH and RSA are written out.
"""

import base64
import hashlib
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

# DigestInfo of SHA-256 (RFC 8017, 9.2 note 1)
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def _block(key: bytes, block: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(block) + encryptor.finalize()


def _unblock(key: bytes, block: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305
    return decryptor.update(block) + decryptor.finalize()


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=False))


def sha1(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324


def seal_push(message: str, aes_key: str, appid: str) -> str:
    """C2: random(16) | length | message | appid, PKCS#7 to 32, AES-256-CBC, base64."""
    key = base64.b64decode(aes_key + "=")
    body = message.encode()
    plain = b"0123456789abcdef" + struct.pack(">I", len(body)) + body + appid.encode()
    pad = 32 - len(plain) % 32
    plain += bytes([pad]) * pad
    out, previous = b"", key[:16]
    for start in range(0, len(plain), 16):
        previous = _block(key, _xor(plain[start : start + 16], previous))
        out += previous
    return base64.b64encode(out).decode()


def open_push(box: str, aes_key: str) -> tuple[str, str]:
    """(message, appid) of an envelope."""
    key, raw = base64.b64decode(aes_key + "="), base64.b64decode(box)
    plain, previous = b"", key[:16]
    for start in range(0, len(raw), 16):
        chunk = raw[start : start + 16]
        plain += _xor(_unblock(key, chunk), previous)
        previous = chunk
    plain = plain[16 : -plain[-1]]
    (size,) = struct.unpack(">I", plain[:4])
    return plain[4 : 4 + size].decode(), plain[4 + size :].decode()


def _times(x: int, y: int) -> int:
    """Multiplication in GF(2^128) as GCM has it."""
    z = 0
    for bit in range(127, -1, -1):
        if (y >> bit) & 1:
            z ^= x
        x = (x >> 1) ^ (0xE1 << 120) if x & 1 else x >> 1
    return z


def seal_resource(plain: bytes, key: str, nonce: str, associated: str) -> str:
    """AEAD_AES_256_GCM: ciphertext and tag, base64."""
    k = key.encode()
    start = nonce.encode() + b"\x00\x00\x00\x01"
    text, count = b"", 2
    for at in range(0, len(plain), 16):
        stream = _block(k, nonce.encode() + count.to_bytes(4, "big"))
        text += _xor(plain[at : at + 16], stream)
        count += 1
    aad = associated.encode()
    padded = aad + bytes(-len(aad) % 16) + text + bytes(-len(text) % 16)
    padded += struct.pack(">QQ", len(aad) * 8, len(text) * 8)
    h, digest = int.from_bytes(_block(k, bytes(16)), "big"), 0
    for at in range(0, len(padded), 16):
        digest = _times(digest ^ int.from_bytes(padded[at : at + 16], "big"), h)
    tag = _xor(digest.to_bytes(16, "big"), _block(k, start))
    return base64.b64encode(text + tag).decode()


def _padded(message: bytes, size: int) -> int:
    info = _SHA256_INFO + hashlib.sha256(message).digest()
    filler = b"\xff" * (size - 3 - len(info))
    return int.from_bytes(b"\x00\x01" + filler + b"\x00" + info, "big")


def rsa_sign(message: bytes, n: int, d: int) -> str:
    """RSASSA-PKCS1-v1_5 with SHA-256, by plain arithmetic."""
    size = (n.bit_length() + 7) // 8
    return base64.b64encode(pow(_padded(message, size), d, n).to_bytes(size, "big")).decode()


def rsa_verifies(message: bytes, signature: str, n: int, e: int) -> bool:
    size = (n.bit_length() + 7) // 8
    return pow(int.from_bytes(base64.b64decode(signature), "big"), e, n) == _padded(message, size)
