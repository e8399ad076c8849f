"""The native model server: one supervising process, workers that each hold the model.

server.py      settings from the environment, the listening socket, start
supervisor.py  starts workers, replaces those that die, stops them
http.py        a worker's event loop: HTTP/1.1, one request at a time
script.py      finds and imports the user's inference script
toolkits.py    model_fn, input_fn, … put together as AWS's two serving toolkits do
formats.py     the content types these toolkits can read and write
documents.py   those of the Hugging Face toolkit
triton/        NVIDIA Triton's repositories, batching and protocol
frameworks/    what each framework's image does where the script is silent
"""
