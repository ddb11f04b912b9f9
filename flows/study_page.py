"""The page of a blind study: two films at a time, a question, three keys. Opens from disk, without a network.

It knows films by tokens and nothing else: which system made which stands in the key, which stays with whoever
made the study. Called by `flows.study`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flows.pages import page

__all__ = ["SCRIPT", "study_page"]

_STYLE = """<style>
/* Side by side on a phone too, where the keys are in view: left stays left, and neither film is first. */
.films { display: flex; gap: .8rem; } .films figure { flex: 1 1 0; }
.films video { width: 100%; max-height: calc(100vh - 17rem); object-fit: contain; background: transparent; }
.films figcaption { text-align: center; font-weight: 600; }
.keys button, #begin button { font: inherit; padding: .6rem 1rem; border-radius: 8px; cursor: pointer;
  border: 1px solid var(--line); background: transparent; color: inherit; min-height: 44px; }
.keys button:focus-visible, input:focus-visible { outline: 3px solid #2f7dd1; outline-offset: 2px; }
.keys button[aria-pressed=true] { border-color: #2f7dd1; box-shadow: inset 0 0 0 1px #2f7dd1; }
.keys { margin-top: 1rem; display: flex; flex-wrap: wrap; gap: .5rem; } #begin p { margin: 1rem 0; }
input { font: inherit; padding: .5rem; max-width: 100%; box-sizing: border-box; }
@media (max-width: 640px) { .films { gap: .4rem; } .keys button { flex: 1 1 30%; padding: .6rem .4rem; } }
[hidden] { display: none !important; }
kbd { border: 1px solid var(--line); border-radius: 4px; padding: 0 .3em; }
</style>"""

_BODY = """
<form id="begin"><label>Your name or a made-up one<br><input id="rater" maxlength="60" required></label>
<p>Two films run side by side. Keys: <kbd>1</kbd> the left one, <kbd>2</kbd> the right one,
<kbd>0</kbd> neither, <kbd>space</kbd> play or pause, <kbd>backspace</kbd> the one before. You may close the
page and go on later.</p>
<button>Begin</button></form>
<div id="trial" hidden><p id="progress" role="status"></p>
<div class="films"><figure><video id="left" playsinline loop></video><figcaption>1</figcaption></figure>
<figure><video id="right" playsinline loop muted></video><figcaption>2</figcaption></figure></div>
<div class="keys"><button data-key="1">1: the left one</button><button data-key="2">2: the right one</button>
<button data-key="0">0: neither</button><button data-key=" ">Play or pause</button>
<button data-key="Backspace">Back</button></div></div>
<div id="end" hidden><p>All answered: thank you. Send the file back to whoever gave you this page.</p>
<div class="keys"><button id="save">Save the answers</button>
<button data-key="Backspace">Back</button></div></div>
"""

# The order and the sides follow from the study and the rater: after a reload they are the same again.
SCRIPT = r"""
"use strict";
function hash(text) {
  let h = 2166136261;
  for (const c of new TextEncoder().encode(text)) h = Math.imul(h ^ c, 16777619);
  return h >>> 0;
}
function generator(seed) {  // mulberry32
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6D2B79F5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
function ordered(trials, seed) {
  const random = generator(hash(seed)), out = trials.map(([a, b]) => random() < 0.5 ? [a, b] : [b, a]);
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}
function run(study) {
  const at = id => document.getElementById(id), left = at("left"), right = at("right");
  const kept = "memdub-study-" + study.id;
  let state = null, trials = [], shown = 0, begun = 0;
  // Where a browser keeps nothing, answers last as long as the page.
  const store = {
    read(name) { try { return JSON.parse(localStorage.getItem(name)); } catch { return null; } },
    write(name, what) { try { localStorage.setItem(name, JSON.stringify(what)); } catch {} },
  };
  function keep() { store.write(`${kept}-${state.rater}`, state); store.write(kept, state.rater); }
  function begin(rater) {
    state = store.read(`${kept}-${rater}`) || {rater, answers: {}};
    trials = ordered(study.trials, study.id + "|" + rater);
    const open = trials.findIndex((t, i) => !(i in state.answers));
    at("begin").hidden = true;
    keep();
    show(open < 0 ? trials.length : open);
  }
  function show(number) {
    shown = number;
    const over = number >= trials.length;
    at("end").hidden = !over;
    at("trial").hidden = over;
    left.pause(); right.pause();
    if (over) { at("save").focus(); return; }
    left.src = study.films + trials[number][0] + ".mp4";
    right.src = study.films + trials[number][1] + ".mp4";
    at("progress").textContent = `${number + 1} of ${trials.length}`;
    const chosen = state.answers[number] && state.answers[number].chosen;
    for (const [key, name] of [["1", "left"], ["2", "right"], ["0", "neither"]])
      document.querySelector(`[data-key="${key}"]`).setAttribute("aria-pressed", String(chosen === name));
    begun = Date.now();
    play();
  }
  function play() {
    right.currentTime = left.currentTime;
    for (const film of [left, right]) film.play().catch(() => {});
  }
  function press(key) {
    if (key === "Backspace") { if (shown > 0) show(shown - 1); return true; }
    if (shown >= trials.length) return false;
    if (key === " ") { if (left.paused) play(); else { left.pause(); right.pause(); } return true; }
    const chosen = {1: "left", 2: "right", 0: "neither"}[key];
    if (chosen === undefined) return false;
    const seconds = (Date.now() - begun) / 1000;
    state.answers[shown] = {left: trials[shown][0], right: trials[shown][1], chosen, seconds};
    keep();
    show(shown + 1);
    return true;
  }
  function results() {
    const answers = trials.map((_, i) => state.answers[i]).filter(Boolean);
    return {study: study.id, rater: state.rater, answers};
  }
  function save() {
    const link = document.createElement("a");
    const text = JSON.stringify(results(), null, 1);
    link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
    link.download = `answers-${study.id}-${state.rater.replace(/[^\w-]+/g, "_")}.json`;
    link.click();
  }
  at("begin").addEventListener("submit", event => {
    event.preventDefault();
    begin(at("rater").value.trim());
  });
  at("save").addEventListener("click", save);
  for (const button of document.querySelectorAll("[data-key]"))
    button.addEventListener("click", () => { press(button.dataset.key); });
  document.addEventListener("keydown", event => {
    const busy = event.target.tagName === "INPUT" || (event.target.tagName === "BUTTON" && event.key === " ");
    if (state && !busy && !event.ctrlKey && !event.metaKey && press(event.key)) event.preventDefault();
  });
  // Films of one length drift apart by a decoder's pace, and are put together again.
  left.addEventListener("timeupdate", () => {
    const apart = Math.abs(left.currentTime - right.currentTime);
    if (!left.paused && apart > 0.08) right.currentTime = left.currentTime;
  });
  at("rater").value = store.read(kept) || "";
  at("rater").focus();
  return {begin, press, results};
}
if (typeof document !== "undefined")
  window.study = run(JSON.parse(document.getElementById("study").textContent));
"""


def study_page(told: Mapping[str, Any]) -> str:
    """The page; `told` has id, question, films (a folder) and trials (pairs of tokens)."""
    data = json.dumps(told).replace("<", "\\u003c")
    known = f'<script type="application/json" id="study">{data}</script><script>{SCRIPT}</script>'
    return page("Which of the two?", str(told["question"]), [_STYLE, _BODY, known])
