// What the blocks of films on a page share: one plays at a time, keys go to one, pictures lead to moments.
(() => {
  "use strict";
  const boxes = [...document.querySelectorAll(".players")];
  if (!boxes.length) return;
  const EDGE = 60; // pixels of a block that have to be seen
  const take = (box) => box.closest(".take");
  let last = null; // the block last used

  // With its curves and its worst moments.
  function inView(box) {
    const { top, bottom } = take(box).getBoundingClientRect();
    return bottom > EDGE && top < window.innerHeight - EDGE;
  }

  // The one last used, as long as it is seen or plays; else the first in view.
  function current() {
    if (last && (last.player.going() || inView(last))) return last;
    return boxes.find(inView) ?? last ?? boxes[0];
  }

  function mark() {
    const one = current();
    for (const box of boxes) box.classList.toggle("keyed", boxes.length > 1 && box === one);
  }

  function use(box) {
    last = box;
    mark();
  }

  for (const box of boxes) {
    for (const name of ["pointerdown", "focusin", "playing"]) {
      take(box).addEventListener(name, () => use(box));
    }
    box.addEventListener("playing", () => {
      for (const other of boxes) if (other !== box) other.player.stop();
    });
  }
  for (const name of ["scroll", "resize"]) window.addEventListener(name, mark, { passive: true });

  for (const link of document.querySelectorAll("[data-frame]")) {
    const box = boxes.find((one) => take(one).dataset.name === link.dataset.take);
    link.addEventListener("click", () => {
      if (!box) return;
      use(box);
      box.player.to(Number(link.dataset.frame));
      box.scrollIntoView({ block: "start" });
    });
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target;
    if (at.closest("select, textarea, input:not([type=range]), .scroll")) return;
    if (at.closest("button, a, summary") && (event.key === " " || event.key === "Enter")) return;
    const act = acts(current().player, event.key, event.shiftKey);
    if (!act) return;
    event.preventDefault();
    use(current());
    act();
  });

  function acts(player, key, shift) {
    const far = shift ? Math.round(player.rate) : 1;
    const keys = {
      " ": player.play,
      k: player.play,
      ArrowLeft: () => player.step(-far),
      ArrowRight: () => player.step(far),
      Home: player.start,
      End: player.end,
      m: player.mute,
      0: () => player.hear(-1),
    };
    const number = Number(key);
    return keys[key] ?? (number >= 1 && number <= player.count ? () => player.hear(number - 1) : null);
  }

  mark();
})();
