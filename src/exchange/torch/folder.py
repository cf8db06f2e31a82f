"""The files of this folder: the run in training.safetensors, and its tokens in the order in which it sees them."""

import contextlib
import json
import mmap
import os
import struct

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
IGNORED = -1  # target of a position that is not learnt

FLOATS = {"F32": torch.float32, "F64": torch.float64}
IDS = {"uint16": (torch.int16, 2), "int32": (torch.int32, 4), "int64": (torch.int64, 8)}


def read_tensors(name):
    """Of a safetensors file the tensors by their names, in float32, and the texts that lie beside them."""
    with open(os.path.join(HERE, name), "rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    (size,) = struct.unpack("<Q", view[:8])
    header = json.loads(view[8 : 8 + size])
    texts = header.pop("__metadata__")
    tensors = {}
    for name, about in header.items():
        count = 1
        for length in about["shape"]:
            count *= length
        place = {"count": count, "offset": 8 + size + about["data_offsets"][0]}
        flat = torch.frombuffer(view, dtype=FLOATS[about["dtype"]], **place)
        tensors[name] = flat.reshape(about["shape"]).float()
    return tensors, texts


def write_tensors(name, tensors, texts):
    """As float32."""
    header, end = {"__metadata__": texts}, 0
    for key, tensor in tensors.items():
        begin, end = end, end + 4 * tensor.numel()
        header[key] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replaced(name) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            data = bytearray(4 * tensor.numel())
            torch.frombuffer(data, dtype=torch.float32).copy_(tensor.detach().flatten())
            file.write(data)


def write_text(name, text):
    with replaced(name) as file:
        file.write(text.encode())


@contextlib.contextmanager
def replaced(name):
    """A file that is written beside its place first: whatever happens, there is a whole one."""
    path = os.path.join(HERE, name)
    with open(path + ".tmp", "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".tmp", path)


def read_ids(name, kind):
    dtype, width = IDS[kind]
    path = os.path.join(HERE, name)
    return torch.from_file(path, shared=False, size=os.path.getsize(path) // width, dtype=dtype)


class Sequences:
    """Tokens of documents, one after the other: [BOS] + ids + [BOS], cut to the context."""

    def __init__(self, name, kind):
        self.ids = read_ids(f"{name}.bin", kind)
        self.starts = read_ids(f"{name}.starts.bin", "int64")
        self.mask = 0xFFFF if kind == "uint16" else -1  # PyTorch has no unsigned numbers of two bytes everywhere

    def __len__(self):
        return len(self.starts) - 1

    def __getitem__(self, index):
        return self.ids[self.starts[index] : self.starts[index + 1]].long() & self.mask


class Windows:
    """Windows of one text, drawn by seed, step and place with Philox 4x32-10: in any order the same ones."""

    def __init__(self, config, kind, segments):
        self.ids = read_ids("tokens.bin", kind)
        self.mask = 0xFFFF if kind == "uint16" else -1
        self.block_size, self.seed = config["block_size"], config["seed"]
        self.segments = segments  # from where to where they may lie

    def at(self, step, row):
        count = sum(max(0, end - start - self.block_size) for start, end in self.segments)
        a, b, _, _ = philox([row, 0, *words(step)], words(self.seed))
        drawn = int(((a >> 5) * 2**26 + (b >> 6)) / 2**53 * count)
        for start, end in self.segments:
            starts = max(0, end - start - self.block_size)
            if drawn < starts:
                break
            drawn -= starts
        first = start + drawn
        return self.ids[first : first + self.block_size + 1].long() & self.mask


def words(integer):
    return [integer & 0xFFFFFFFF, integer >> 32]


def philox(counter, key):
    """Four words of 32 random bits (Salmon et al. 2011)."""
    (a, b, c, d), (k, l) = counter, key
    for _ in range(10):
        ac, cc = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (cc >> 32) ^ b ^ k, cc & 0xFFFFFFFF, (ac >> 32) ^ d ^ l, ac & 0xFFFFFFFF
        k, l = (k + 0x9E3779B9) & 0xFFFFFFFF, (l + 0xBB67AE85) & 0xFFFFFFFF
    return a, b, c, d


class Data:
    """What is learnt in which step, and what is held out."""

    def __init__(self, config):
        with open(os.path.join(HERE, "data.json"), encoding="utf-8") as file:
            about = json.load(file)
        self.config = config
        self.stream = about["kind"] == "stream"
        kind = about["ids"]
        self.train = Windows(config, kind, about["segments"]) if self.stream else Sequences("tokens", kind)
        self.held_out = Sequences("held_out", kind) if about["held_out"] else []

    def row(self, step, row):
        if self.stream:
            return self.train.at(step, row)
        return self.train[(step * self.rows + row) % len(self.train)]

    @property
    def rows(self):
        """Of a step: documents or windows, of all its micro-batches and on all processes."""
        return self.config["batch_size"] * self.config["grad_accumulation"]

    def step(self, step, rank, world):
        """The micro-batches of one of the processes, as many as the others have, and the targets of all of them."""
        rows = [self.row(step, row) for row in range(self.rows)]
        num_targets = sum(int((row[1:] >= 0).sum()) for row in rows)
        share = -(-len(rows) // world)
        own = rows[rank * share : (rank + 1) * share]
        own += [torch.zeros(1, dtype=torch.long)] * (share - len(own))  # nothing is learnt of it
        size = self.config["batch_size"]
        return [pack(own[first : first + size]) for first in range(0, share, size)], num_targets

    def validation(self):
        rows, size = [self.held_out[i] for i in range(len(self.held_out))], self.config["batch_size"]
        return [pack(rows[first : first + size]) for first in range(0, len(rows), size)]


def pack(rows):
    """Inputs and targets (B, T). A token that is read but not learnt is ~id."""
    length = max(1, max(len(row) for row in rows) - 1)
    inputs = torch.zeros(len(rows), length, dtype=torch.long)
    targets = torch.full((len(rows), length), IGNORED)
    for b, row in enumerate(rows):
        inputs[b, : len(row) - 1] = torch.where(row < 0, ~row, row)[:-1]
        targets[b, : len(row) - 1] = torch.where(row < 0, torch.full_like(row, IGNORED), row)[1:]
    return inputs, targets
