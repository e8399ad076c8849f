"""What SageMaker's Triton image does: a repository of ONNX models behind /invocations and the KServe V2 protocol.

start.py       settings from the environment, which engine serves
text.py        protobuf's text format, with line numbers
schema.py      the messages and fields of Triton's ModelConfig, and those that are refused here
config.py      config.pbtxt: what it asks for, checked as Triton checks it
tensors.py     datatypes, and values as JSON, as bytes and as arrays
session.py     one ONNX model on ONNX Runtime, checked against its configuration
batching.py    requests that wait are joined, run and split again
repository.py  models and their versions: loaded, unloaded, listed
protocol.py    an inference request and its answer, as bytes
service.py     the addresses: /ping, /invocations, /v2/…
loop.py        an event loop whose answers come later
statistics.py  what was counted, as the statistics extension shows it
nvidia.py      NVIDIA's own tritonserver in place of all this, where it is installed; proxy.py passes requests on

Only ``start`` is imported before it is known that numpy and ONNX Runtime are there.
"""
