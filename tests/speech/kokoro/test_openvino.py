"""The graphs that OpenVINO compiles compute what the float graph does, at any length.

Whole numbers of 8 bits are multiplied on any CPU, on some of them slowly; on those where their sums
overflow, the runtime is refused.
"""

from __future__ import annotations

import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest
from benchmarks.kokoro_fidelity import distance

from darkchannel.engines import fetch_weights
from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.kokoro import openvino_runtime, preparation
from darkchannel.speech.kokoro.float32 import Float32Runtime
from darkchannel.speech.kokoro.openvino_runtime import OpenvinoRuntime
from darkchannel.speech.kokoro.openvino_tiles import TiledLayers
from darkchannel.speech.kokoro.runtime import usable
from darkchannel.speech.kokoro.vocabulary import encode
from darkchannel.speech.openvino_kept import KeptGraphs
from tests.speech.kokoro import golden
from tests.speech.kokoro.small_network import difference
from tests.speech.kokoro.test_float32 import SAID, SOME_VOICES, require_speech, style
from tests.speech.real_kokoro import settings

if "openvino" not in usable():  # importing it here would let it report to its makers
    pytest.skip("there is no OpenVINO, or it would distort", allow_module_level=True)

Array = npt.NDArray[np.float32]

GOLDEN = golden.load()
NEAR_DB = -16
"""Of a difference, relative to the speech: 8 bits make one of -22.3 to -17.9, at any length."""
NEAR_MEL_DB = 0.7
"""Log-mel distance to ``float32``: 0.39 to 0.56 measured, where the published graph has 2."""


def prepared(name: str) -> Path:
    """The files of a runtime, made of the machine's own weights where missing."""
    fetch_weights(replace(settings(), kokoro_runtime=name), "kokoro")
    return preparation.folder(settings().data_dir, name)


@cache
def made(name: str) -> Float32Runtime | OpenvinoRuntime:
    """A runtime with two threads."""
    folder = prepared(name)
    if name == "float32":
        return Float32Runtime(folder, threads=2)
    return OpenvinoRuntime(folder, threads=2)


def counterpart(runtime: OpenvinoRuntime) -> Float32Runtime:
    """Decoder and generator of ``float32``, behind the same encoder and prosody.

    Those of ``openvino`` add in another order, and a pitch that is off by a millionth is a phase
    that drifts: nothing that can be heard, and more than what is to be found here.
    """
    theirs = Float32Runtime(prepared("float32"), threads=2)
    theirs._encoder, theirs._prosody = runtime._encoder, runtime._prosody
    return theirs


def loudness(samples: Array) -> float:
    """Power in dB."""
    return float(10 * np.log10(np.square(samples, dtype=np.float64).mean()))


def own_memory() -> int:
    """Bytes of this process that are no file's: what others map at the same time does not count."""
    memory = psutil.Process().memory_info()
    return int(memory.rss - memory.shared)


@pytest.mark.slow
def test_the_spectrum_is_that_of_the_float_graph() -> None:
    """Of the real network, on one lane."""
    runtime = made("openvino")
    assert isinstance(runtime, OpenvinoRuntime)
    generator = runtime._lanes.get()
    source, style = GOLDEN["float.source"], GOLDEN["style"][:128]
    spectrum = generator(GOLDEN["float.frames"], source, style)
    runtime._lanes.put(generator)
    assert spectrum.shape == GOLDEN["float.spectrum"].shape
    # Rounding to 8 bits; 0.5 in the logarithm of a magnitude would be 4 dB.
    off = spectrum - GOLDEN["float.spectrum"]
    assert np.sqrt(np.square(off).mean()) < 0.12
    assert np.abs(off).max() < 1.3


@pytest.mark.slow
def test_a_graph_that_cannot_be_compiled_is_named_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error says what to do, and the next chunk tries again."""
    compiled, tokens = KeptGraphs.compiled, encode("a")
    wanted = made("openvino").run(tokens, style("pf_dora", 1), 1.0)

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(KeptGraphs, "compiled", refuse)
    broken = OpenvinoRuntime(prepared("openvino"), threads=2)
    for _ in range(2):
        with pytest.raises(EngineUnavailableError, match="no such kernel") as refused:
            broken.run(tokens, style("pf_dora", 1), 1.0)
        assert "DARKCHANNEL_KOKORO_RUNTIME=float32" in refused.value.remedy
    monkeypatch.setattr(KeptGraphs, "compiled", compiled)
    assert np.array_equal(broken.run(tokens, style("pf_dora", 1), 1.0).samples, wanted.samples)


@pytest.mark.slow
def test_it_says_the_same_at_the_same_times_as_float32() -> None:
    """Every token lasts as long, and the sound is as near as no ear can tell."""
    tokens = encode(SAID)
    vector = style("pf_dora", len(tokens))
    ours, theirs = (made(name).run(tokens, vector, 1.0) for name in ("openvino", "float32"))
    assert ours.bounds == theirs.bounds
    assert distance(ours.samples, theirs.samples) < NEAR_MEL_DB
    assert abs(loudness(ours.samples) - loudness(theirs.samples)) < 0.05


@pytest.mark.acceptance
@pytest.mark.timeout(900)
def test_a_chunk_of_any_length_sounds_the_same() -> None:
    """From 1 to 510 tokens, wherever its tiles end."""
    sentence = encode(SAID + ". ") * 25
    runtime = made("openvino")
    assert isinstance(runtime, OpenvinoRuntime)
    reference = counterpart(runtime)
    for count in (*range(1, 24), *range(24, 120, 12), *range(120, 510, 65), 510):
        vector = style("pm_alex", count)
        ours = runtime.run(sentence[:count], vector, 1.0)
        theirs = reference.run(sentence[:count], vector, 1.0)
        assert ours.bounds == theirs.bounds, count
        assert difference(ours.samples, theirs.samples) < NEAR_DB, count
        assert distance(ours.samples, theirs.samples) < NEAR_MEL_DB, count


@pytest.mark.slow
def test_the_order_of_the_encoders_sums_is_no_matter_to_durations() -> None:
    """Arranged for speed or left where it is mapped, it gives each token its frames."""
    sentence = encode(SAID + ". ") * 25
    for count in (1, 7, 60, 150, 510):
        given = {
            "tokens": np.array([[0, *sentence[:count], 0]], np.int64),
            "style": style("pm_alex", count)[None],
            "speed": np.ones(1, np.float32),
        }
        ours, theirs = (made(name)._encoder.run(None, given)[0] for name in ("openvino", "float32"))
        assert np.array_equal(ours, theirs), count


@pytest.mark.slow
def test_lanes_compute_at_a_time() -> None:
    """Two threads speak different chunks of a book, and get what one alone gets."""
    prepared("openvino")
    folder = preparation.folder(settings().data_dir, "openvino")
    lanes = openvino_runtime.shared(folder, threads=1, lanes=2)
    assert openvino_runtime.shared(folder, threads=1, lanes=2) is lanes
    sentence = encode(SAID + ". ")

    def speak(count: int) -> Array:
        return lanes.run(sentence[:count], style("pf_dora", count), 1.0).samples

    with ThreadPoolExecutor(2) as threads:
        spoken = list(threads.map(speak, [30, 20, 12, 12]))
    for count, samples in zip([30, 20, 12, 12], spoken, strict=True):
        assert np.array_equal(samples, speak(count)), count


@pytest.mark.slow
def test_memory_does_not_grow_with_the_lengths_met() -> None:
    """What was made for one length of chunk is not kept when another comes."""
    runtime = OpenvinoRuntime(prepared("openvino"), threads=2)
    runtime.run(encode("a"), style("pf_dora", 1), 1.0)  # so that all is compiled

    def decode(frames: int) -> None:
        letters = np.zeros((1, 512, frames), np.float32)
        curve = np.zeros((1, 2 * frames), np.float32)
        runtime._decoder(letters, curve, curve, GOLDEN["style"][:128])

    for frames in range(80, 20, -2):
        decode(frames)
    before = own_memory()
    for frames in range(81, 21, -2):
        decode(frames)
    assert own_memory() - before < 30e6  # 15 measured; 45 with the cache


MAPPED = """
import sys
from pathlib import Path
import numpy as np
from darkchannel.speech.kokoro.openvino_runtime import OpenvinoRuntime

folder = Path(sys.argv[1])
runtime = OpenvinoRuntime(folder, threads=2)
runtime.run((50, 51, 52), np.zeros(256, np.float32), 1.0)
ours = {"decoder.bin", *(file.name for file in folder.glob("*.npy"))}
held, name = 0, ""
for line in open("/proc/self/smaps"):
    if "/" in line:
        name = line.split("/")[-1].strip()
    elif line.startswith("Rss:") and name in ours:
        held += int(line.split()[1])
print(held / 1000)
"""


@pytest.mark.slow
def test_all_filters_but_the_last_multiply_whole_numbers() -> None:
    """And not floats, which OpenVINO would fall back to without a word: four times slower."""
    runtime = made("openvino")
    assert isinstance(runtime, OpenvinoRuntime)
    generator = runtime._lanes.get()
    runtime._lanes.put(generator)
    layers = generator._layers
    assert isinstance(layers, TiledLayers)
    tiles = layers._tiles._graphs
    graphs = {name: tiles[name] for name in tiles._read}
    graphs["decoder"] = runtime._decoder._graphs["decoder"]
    for name, graph in graphs.items():
        nodes = [node.get_rt_info() for node in graph.get_runtime_model().get_ops()]
        kernels = [
            node["primitiveType"].astype(str)
            for node in nodes
            if node["layerType"].astype(str) == "Convolution"
        ]
        assert kernels
        whole = all(kernel.endswith("_I8") for kernel in kernels)
        assert whole == (name != "post"), (name, kernels)


@pytest.mark.slow
def test_weights_are_held_once() -> None:
    """In the order that OpenVINO's kernels want; those in the files are not, 200 MB of them."""
    command = [sys.executable, "-c", MAPPED, str(prepared("openvino"))]
    said = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout
    assert float(said) < 30


@pytest.mark.slow
def test_a_runtime_that_nobody_uses_is_gone() -> None:
    """At once, not when somebody looks for circles: it is half a gigabyte."""
    folder = prepared("openvino")
    one = openvino_runtime.shared(folder, threads=1, lanes=3)
    gone = weakref.ref(one)
    del one
    assert gone() is None


@pytest.mark.acceptance
@pytest.mark.parametrize("voice", SOME_VOICES)
def test_every_voice_speaks(voice: str) -> None:
    """No voice gives silence, clipping beyond what the engine turns down, or something else."""
    require_speech(made("openvino"), voice)


QUIET = """
import sys

tried = []
sys.addaudithook(lambda event, _: tried.append(event) if event.startswith("socket.get") else None)
import threading
from darkchannel.speech import openvino_session
openvino_session.core()
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(5)
assert not tried, tried
assert "openvino_telemetry" not in sys.modules
"""


@pytest.mark.slow
def test_using_openvino_reports_to_nobody() -> None:
    """As it comes, importing it sends a message to an analytics service on the internet."""
    subprocess.run([sys.executable, "-c", QUIET], check=True, timeout=60)


START = """
import threading, sys
from darkchannel.speech import openvino_session
import numpy as np

def work():
    openvino_session.core()
    from darkchannel.speech.openvino_library import openvino
    openvino.Tensor(np.zeros(4, np.float32)).data

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.acceptance
@pytest.mark.timeout(900)
def test_two_hundred_starts_do_not_hang() -> None:
    """Threads that touch OpenVINO's tensors first at the same time wait for each other for ever.

    Each start of a process is another try: none takes more than some seconds.
    """
    for _ in range(200):
        subprocess.run([sys.executable, "-c", START], check=True, timeout=60)
