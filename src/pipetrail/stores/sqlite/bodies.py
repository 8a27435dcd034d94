"""Kept objects, compressed with a dictionary that the journal learns from its own first ones."""

import apsw
import zstandard

_SAMPLES = 400
_DICTIONARY_BYTES = 32 * 1024
_LEVEL = 3


class Bodies:
    """Packs and unpacks bodies. Dictionary 0 is none."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._decompressors: dict[int, zstandard.ZstdDecompressor] = {0: zstandard.ZstdDecompressor()}
        self._samples: list[bytes] = []
        self.dictionary = 0
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        for number, body in db.execute("SELECT id, body FROM dictionaries ORDER BY id DESC LIMIT 1"):
            self._use(number, body)

    def _use(self, number: int, body: bytes) -> None:
        found = zstandard.ZstdCompressionDict(body)
        self.dictionary = number
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, dict_data=found)

    def pack(self, body: bytes) -> bytes:
        """The body as it is stored under :attr:`dictionary`. Empty stays empty."""
        if not body:
            return b""
        if not self.dictionary and len(self._samples) < _SAMPLES:
            self._samples.append(body)
        return self._compressor.compress(body)

    def learn(self) -> None:
        """Make the dictionary once there is enough to learn from. Call it inside a transaction, before packing."""
        if self.dictionary or len(self._samples) < _SAMPLES:
            return
        try:
            body = zstandard.train_dictionary(_DICTIONARY_BYTES, list(self._samples)).as_bytes()
        except zstandard.ZstdError:
            self._samples = []  # too little variety: try again with others
            return
        number = self._db.execute("SELECT coalesce(max(id), 0) + 1 FROM dictionaries").get
        self._db.execute("INSERT INTO dictionaries VALUES(?, ?)", (number, body))
        self._samples = []
        self._use(number, body)

    def unpack(self, dictionary: int, packed: bytes) -> bytes:
        """The body that was stored under a dictionary."""
        if not packed:
            return b""
        found = self._decompressors.get(dictionary)
        if found is None:
            body = self._db.execute("SELECT body FROM dictionaries WHERE id = ?", (dictionary,)).get
            found = zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(body))
            self._decompressors[dictionary] = found
        return found.decompress(packed)
