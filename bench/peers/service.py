"""What a tenant might write instead: FastAPI and PyTorch over the same weights. Item vectors and histories lie in memory,
so that no request asks a database. Each of uvicorn's workers is one process that computes where it reads: threads within
one would wait for each other at Python's lock.

    PEER_MODEL=models/base PEER_DATA=DIR PEER_WAY=full python3 -m uvicorn service:app --app-dir bench/peers

PEER_WAY says what is kept of a person between requests:
    full     nothing; each candidate is read in a sequence of its own, behind the history
    request  nothing; the history is read once a request, and all its candidates behind it
    states   the state: keys, values and all that does not depend on the candidates
"""
import json
import os
import pathlib

import torch
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from network import History, Network

torch.set_num_threads(int(os.environ.get("PEER_THREADS", "1")))
network = Network(os.environ["PEER_MODEL"])
way = os.environ["PEER_WAY"]
if way not in ("full", "request", "states"):
    raise SystemExit(f"PEER_WAY is {way}: full, request or states.")


def read_tenant(folder):
    """Item vectors as single floats, their places by image id, and everybody's history."""
    tenant = json.loads((folder / "tenant.json").read_text())
    halves = torch.frombuffer(bytearray((folder / "items.bin").read_bytes()), dtype=torch.float16)
    items = halves.view(len(tenant["images"]), -1).float()
    return items, {image: i for i, image in enumerate(tenant["images"])}, tenant["users"]


items, place_of, histories = read_tenant(pathlib.Path(os.environ["PEER_DATA"]))
states = {}


def history_of(user):
    judgements = histories[user]
    judged = torch.zeros(len(judgements), 2)
    for row, (_, side, weight) in enumerate(judgements):
        judged[row, side] = weight
    return History(items[[place for place, _, _ in judgements]], judged)


def state_of(user):
    state = states.get(user)
    if state is None:
        state = states[user] = network.read(history_of(user))
    return state


def margins_of(user, targets):
    if way == "full":
        return network.forward(history_of(user), targets)
    state = state_of(user) if way == "states" else network.read(history_of(user))
    return network.score(state, targets), state.rate_logit


class Question(BaseModel):
    user: str
    images: list[str]


app = FastAPI()


def answer(question):
    if question.user not in histories:
        raise HTTPException(404, f"There is no user {question.user}.")
    try:
        places = [place_of[image] for image in question.images]
    except KeyError as missing:
        raise HTTPException(404, f"There is no image {missing}.") from None
    with torch.inference_mode():
        return margins_of(question.user, items[places])


@app.post("/rank")
async def rank(question: Question):
    """Probabilities of a like, best first, as `rank { scores { value } }` answers them."""
    margins, rate = answer(question)
    return {"scores": network.values(margins.sort(descending=True).values, rate).tolist()}


@app.post("/margins")
async def margins(question: Question):
    """In the order of the images: for the check that the peer computes what Palate computes."""
    return {"margins": answer(question)[0].tolist()}


@app.get("/ready")
async def ready():
    return {"way": way}
