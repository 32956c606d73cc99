"""Weights files made by hand, most of them hostile, and checks of reading them."""

import io
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lyapy.errors import WeightsError
from lyapy.networks.forward import forward_chunk
from lyapy.weights.formats import read_contents

GOLDEN = Path(__file__).parents[1] / "golden"


def read_arrays(path):
    return read_contents(path).arrays


def of_case(path, case):
    """Return the arrays of a golden npz file that belong to a case, by their names in it."""
    with np.load(path) as archive:
        head = f"{case}/"
        return {n.removeprefix(head): archive[n] for n in archive.files if n.startswith(head)}


def outputs_of(network, inputs, *run):
    """Return the outputs of the last layer, from the zero state."""
    states = forward_chunk(network, inputs.astype(float), np.zeros(network.state_size), *run).states
    below = sum(cell.state_size for cell in network.cells[:-1])
    return states[:, below : below + network.cells[-1].output_size]


def same(found, wanted):
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name


def refused(path, content, finding):
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=finding) as caught:
        read_arrays(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def zipped(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def torch_file(pickle, *more):
    return zipped([("a/data.pkl", pickle), ("a/data/0", bytes(24)), *more])


def legacy_file(pickle, keys=b"].", data=b""):
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    return magic + b"M\xe9\x03." + b"}X\r\0\0\0little_endian\x88s." + pickle + keys + data


def storage(key="0", count=6, kind="torch\nFloatStorage"):
    return f"(Vstorage\nc{kind}\nV{key}\nVcpu\nI{count}\ntQ".encode()


def numbers(values):
    return b"(" + b"".join(b"I%d\n" % value for value in values) + b"t"


def tensor(offset=0, shape=(2, 3), strides=(3, 1), stored=None):
    head = b"ctorch._utils\n_rebuild_tensor_v2\n(" + (stored or storage())
    return head + b"I%d\n" % offset + numbers(shape) + numbers(strides) + b"\x89NtR"


def state(*values):
    return b"}" + b"".join(b"Vw%d\n%ss" % pair for pair in enumerate(values)) + b"."


THING = b"cowned_module\nThing\n"
# pickles by name, and the finding in a file that holds them
PICKLES = {
    "system": (b"cos\nsystem\n(Vtouch owned\ntR.", "'os.system'.*not allowed; .*state_dict"),
    "stack": (b"\x8c\x05posix\x8c\x06system\x93(Vtouch owned\ntR.", "'posix.system'"),
    "eval": (b"cbuiltins\neval\n(Vopen('owned','w')\ntR.", "'builtins.eval'"),
    "eval_2": (b"c__builtin__\neval\n(Vopen('owned','w')\ntR.", "'builtins.eval'"),
    "import": (b"cowned\nthing\n.", "holds no arrays"),
    "load": (b"ctorch.serialization\nload\n(Vowned\ntR.", "'torch.serialization.load'"),
    "dotted": (b"\x8c\x0ctorch._utils\x8c\x14_rebuild_tensor.f_gb\x93.", "f_gb"),
    "inst": (b"(Vtouch owned\nios\nsystem\n.", "'os.system'.*not allowed"),
    "obj": (b"(ccollections\nOrderedDict\no.", "holds no arrays"),
    "newobj": (b"ccollections\nOrderedDict\n)\x81.", "holds no arrays"),
    "newobj_ex": (b"ccollections\nOrderedDict\n)}\x92.", "holds no arrays"),
    "ext": (b"\x82\x01.", "opcode EXT1"),
    "persid": (b"Pstorage\n.", "opcode PERSID"),
    "buffer": (b"\x97.", "opcode NEXT_BUFFER"),
    "unknown": (b"\xff.", "damaged .*unknown"),
    "name_number": (b"I1\nVa\n\x93.", "a name that is not text"),
    "call_text": (b"Vos.system\n(Vtouch owned\ntR.", "not a function"),
    "call_type": (b"ctorch\nFloatStorage\n)R.", "not a function"),
    "build_global": (b"ccollections\nOrderedDict\n}Vx\nI1\nsb.", "sets attributes"),
    "build_tensor": (tensor() + b"}Vx\nI1\nsb.", "sets attributes"),
    "items": (b"Vx\nVa\nI1\ns.", "items of an object that is not a dict"),
    "append": (b"}I1\na.", "appends to an object that is not a list"),
    "many_arguments": (b"ccollections\nOrderedDict\n(" + b"N" * 99 + b"tR.", "arguments"),
    "deep_key": (b"})" + b"\x85" * 200_000 + b"I1\ns.", "key of type tuple"),
    "deep": (b"]" * 200 + b"a" * 199 + b".", "too deeply"),
    "cycle": (b"}q\x00Va\nh\x00s.", "too deeply"),
    "long_name": (b"}V" + b"a" * 2000 + b"\n" + tensor() + b"s.", "names that are too long"),
    "underflow": (b"0.", "damaged"),
    "no_mark": (b"t.", "damaged"),
    "no_memo": (b"h\x07.", "damaged"),
    "lying_bytes": (b"\x8e" + struct.pack("<Q", 1 << 40) + b"x.", "damaged .*bytes8"),
    "lying_long": (b"\x8b" + struct.pack("<i", 1 << 30) + b"x.", "damaged .*long4"),
    "no_stop": (b"}", "damaged"),
    "nothing": (b"}.", "holds no arrays"),
    "numbers_only": (b"}Va\nI1\ns.", "holds no arrays"),
    "not_storage": (b"Vmodule\nQ.", "unknown way"),
    "lone_storage": (state(tensor(stored=b"N")), "without storage"),
    "list_shape": (state(tensor().replace(numbers((2, 3)), b"(l")), "without storage or shape"),
    "two_ways": (state(tensor(), tensor(stored=storage(count=5))), "one storage in two ways"),
    "two_types": (
        state(tensor(), tensor(stored=storage(kind="torch\nIntStorage"))),
        "one storage in two ways",
    ),
    "inst_system": (b"(ios\nsystem\n.", "'os.system'"),
    "popen": (b"csubprocess\nPopen\n)\x81.", "'subprocess.Popen'"),
    "rmtree": (b"cshutil\nrmtree\n.", "'shutil.rmtree'"),
    "import_module": (b"cimportlib\nimport_module\n.", "'importlib.import_module'"),
    "spawn": (b"cmultiprocessing.util\nspawnv_passfds\n.", "'multiprocessing.util"),
    "exit": (b"csys\nexit\n.", "'sys.exit'"),
    "getattr": (b"cbuiltins\ngetattr\n.", "'builtins.getattr'"),
    "module_source": (b"(Vmodule\ncos\nsystem\nVa\nVb\ntQ.", "'os.system'"),
    "lazy": (b"ctorch.nn.parameter\nUninitializedParameter\n.", "UninitializedParameter"),
    "distributed": (b"ctorch.distributed.tensor\nDTensor\n.", "DTensor"),
    "built_twice": (THING + b")\x81}b}b.", "twice"),
    "built_class": (THING + b"}b.", "sets attributes"),
    "module_cycle": (THING + b")\x81q\x00}V_modules\n}Va\nh\x00ssb.", "too deeply"),
}
