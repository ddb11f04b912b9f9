// A lineage that folds: a click takes a card's sources away or brings them back; hovering tells of a card.
(() => {
  "use strict";
  const MANY = 40; // more cards than these are folded at first, but for those near the result
  const NARROW = 700; // pixels: on a phone the nearest sources come first
  for (const box of document.querySelectorAll(".graph")) start(box);

  function start(box) {
    const svg = box.querySelector("svg");
    const [wide, high, gapX, gapY, margin] = svg.dataset.sizes.split(" ").map(Number);
    const cards = [...svg.querySelectorAll("[data-node]")].map((card) => ({
      card,
      parent: card.dataset.parent === "" ? null : Number(card.dataset.parent),
      column: Number(card.dataset.column),
      row: Number(card.dataset.row),
      first: Number(card.dataset.row),
      told: card.querySelector("title").textContent,
      edge: null,
      below: [],
      folded: false,
    }));
    const told = box.querySelector(".told");
    const scroll = box.querySelector(".scroll");
    for (const edge of svg.querySelectorAll("[data-to]")) cards[Number(edge.dataset.to)].edge = edge;
    for (const one of cards) if (one.parent !== null) cards[one.parent].below.push(one);

    for (const one of cards) {
      one.card.querySelector("title").remove();
      one.card.setAttribute("tabindex", "0");
      one.card.setAttribute("aria-label", one.told);
      one.card.addEventListener("pointerenter", () => tell(one));
      one.card.addEventListener("focus", () => tell(one));
      if (!one.below.length) continue;
      one.card.classList.add("folds");
      one.card.setAttribute("role", "button");
      one.card.addEventListener("click", () => moved || fold(one, !one.folded));
      one.card.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        fold(one, !one.folded);
      });
    }
    box.querySelector("[data-fold=open]").addEventListener("click", () => all(() => false));
    box.querySelector("[data-fold=shut]").addEventListener("click", () => all((one) => one.column > 0));

    function all(which) {
      for (const one of cards) one.folded = one.below.length > 0 && which(one);
      place();
    }

    function fold(one, folded) {
      one.folded = folded;
      place();
      tell(one);
    }

    // A card stands beside the first of its sources; each last one takes a row of its own.
    function place() {
      let free = 0;
      let columns = 0;
      const visit = (one) => {
        one.row = free;
        one.shown = true;
        columns = Math.max(columns, one.column);
        if (one.folded) return;
        one.below.forEach((child, number) => {
          free += number ? 1 : 0;
          visit(child);
        });
      };
      for (const one of cards) one.shown = false;
      visit(cards[0]);
      for (const one of cards) draw(one);
      svg.setAttribute("width", margin * 2 + (columns + 1) * (wide + gapX) - gapX);
      svg.setAttribute("height", margin * 2 + (free + 1) * (high + gapY) - gapY);
    }

    function draw(one) {
      one.card.classList.toggle("gone", !one.shown);
      one.card.setAttribute("transform", `translate(0 ${(one.row - one.first) * (high + gapY)})`);
      if (one.below.length) {
        one.card.setAttribute("aria-expanded", String(!one.folded));
        one.card.querySelector(".sign text").textContent = one.folded ? `+${count(one)}` : "−";
      }
      if (!one.edge) return;
      one.edge.classList.toggle("gone", !one.shown);
      const from = cards[one.parent];
      const x0 = margin + from.column * (wide + gapX) + wide;
      const y0 = margin + from.row * (high + gapY) + high / 2;
      const x1 = margin + one.column * (wide + gapX);
      const y1 = margin + one.row * (high + gapY) + high / 2;
      const bend = gapX / 2;
      one.edge.setAttribute("d", `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`);
    }

    function count(one) {
      return one.below.reduce((sum, child) => sum + 1 + count(child), 0);
    }

    function tell(one) {
      const [first, ...rest] = one.told.split("\n");
      const name = document.createElement("b");
      name.textContent = first;
      told.replaceChildren(name, rest.join("\n"));
      for (const other of cards) {
        other.card.classList.remove("on");
        other.edge?.classList.remove("on");
      }
      // The way from here to the result.
      for (let at = one; at; at = at.parent === null ? null : cards[at.parent]) {
        at.card.classList.add("on");
        at.edge?.classList.add("on");
      }
    }

    let held = null;
    let moved = false;
    scroll.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button !== 0) return;
      held = { x: event.clientX, y: event.clientY, left: scroll.scrollLeft, top: scroll.scrollTop };
      moved = false;
    });
    window.addEventListener("pointermove", (event) => {
      if (!held) return;
      const x = event.clientX - held.x;
      const y = event.clientY - held.y;
      moved ||= Math.abs(x) + Math.abs(y) > 6;
      if (!moved) return;
      scroll.classList.add("held");
      scroll.scrollTo(held.left - x, held.top - y);
    });
    window.addEventListener("pointerup", () => {
      held = null;
      scroll.classList.remove("held");
    });

    if (box.clientWidth < NARROW) all((one) => one.column > 0);
    else if (cards.length > MANY) all((one) => one.column > 1);
    else place();
    tell(cards[0]);
  }
})();
