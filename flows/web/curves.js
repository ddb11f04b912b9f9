// Curves around the moment that the films show: drawn near, and a mark on the drawing of the whole.
(() => {
  "use strict";
  for (const lips of document.querySelectorAll(".lips")) {
    const box = lips.closest(".take").querySelector(".players");
    if (box) start(lips, box);
  }

  function start(lips, box) {
    const told = JSON.parse(lips.querySelector(".drawn").textContent);
    const whole = lips.querySelector(".whole");
    const near = lips.querySelector(".near");
    const names = [...lips.querySelectorAll(".names button")];
    const span = lips.querySelector(".names select");
    const seconds = Math.max(...told.lines.map((line) => line.values.length)) / told.rate;
    const known = told.lines.flatMap((line) => line.values).filter((value) => value !== null);
    const low = Math.min(0, ...lowHigh(known).slice(0, 1));
    const high = lowHigh(known)[1];
    const loudest = Math.max(1e-9, ...lowHigh(told.area.filter((value) => value !== null)).slice(1));
    const LEFT = 44, BELOW = 22, ABOVE = 10;
    if (near.clientWidth < 500) span.value = "2"; // of more, a phone would show a thicket
    let now = 0;

    function lowHigh(values) {
      let low = Infinity, high = -Infinity;
      for (const value of values) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
      return values.length ? [low, high] : [0, 1];
    }

    function view() {
      const wide = Math.min(Number(span.value) || seconds, seconds);
      const from = Math.min(Math.max(now - wide / 2, 0), seconds - wide);
      return { from, wide };
    }

    function draw() {
      const scale = window.devicePixelRatio || 1;
      const { width, height } = near.getBoundingClientRect();
      if (!width) return;
      near.width = Math.round(width * scale);
      near.height = Math.round(height * scale);
      const pen = near.getContext("2d");
      pen.scale(scale, scale);
      const { from, wide } = view();
      const style = getComputedStyle(document.documentElement);
      const ink = style.getPropertyValue("--ink"), soft = style.getPropertyValue("--soft");
      const line = style.getPropertyValue("--line");
      const floor = height - BELOW;
      const across = (at) => LEFT + ((width - LEFT - 8) * (at - from)) / wide;
      const up = (value) => floor - ((floor - ABOVE) * (value - low)) / Math.max(high - low, 1e-9);
      pen.font = "12px system-ui, sans-serif";
      grid();
      pen.save();
      pen.beginPath();
      pen.rect(LEFT, 0, width - LEFT - 8, height);
      pen.clip();
      area();
      const heard = box.querySelector(".hear[aria-pressed=true] .name")?.textContent;
      // The one that is heard is drawn broader, and last.
      for (const [one, at] of told.lines.map((one, at) => [one, at]).sort(([a], [b]) => (a.name === heard) - (b.name === heard))) {
        if (names[at].getAttribute("aria-pressed") === "true") curve(one.values, colourOf(names[at]), one.name === heard ? 3 : 1.6);
      }
      pen.fillStyle = ink;
      pen.fillRect(across(now + 0.5 / told.rate) - 0.75, 0, 1.5, floor);
      pen.restore();

      function grid() {
        pen.strokeStyle = line;
        pen.fillStyle = soft;
        pen.lineWidth = 1;
        const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300].find((one) => wide / one <= width / 70) || 600;
        pen.textAlign = "center";
        for (let at = Math.ceil(from / step) * step; at <= from + wide + 1e-6; at += step) {
          if (across(at) < LEFT + 14) continue;
          pen.fillText(`${Number(at.toFixed(2))} s`, Math.min(across(at), width - 18), height - 6);
          pen.globalAlpha = 0.5;
          pen.beginPath();
          pen.moveTo(across(at), ABOVE);
          pen.lineTo(across(at), floor);
          pen.stroke();
          pen.globalAlpha = 1;
        }
        pen.textAlign = "right";
        for (const value of [low, (low + high) / 2, high]) {
          pen.fillText(Number(value.toPrecision(2)), LEFT - 6, Math.max(up(value) + 4, 12));
        }
        pen.beginPath();
        pen.moveTo(LEFT, floor + 0.5);
        pen.lineTo(width - 8, floor + 0.5);
        pen.stroke();
      }

      function area() {
        pen.fillStyle = line;
        pen.globalAlpha = 0.45;
        pen.beginPath();
        pen.moveTo(across(from), floor);
        visible(told.area, (value, at) => {
          pen.lineTo(across(at), floor - ((floor - ABOVE) * (value ?? 0)) / loudest);
        });
        pen.lineTo(across(from + wide), floor);
        pen.fill();
        pen.globalAlpha = 1;
      }

      function curve(values, colour, broad) {
        pen.strokeStyle = colour;
        pen.lineWidth = broad;
        pen.lineJoin = "round";
        pen.beginPath();
        let down = false;
        visible(values, (value, at) => {
          if (value === null) down = false;
          else if (down) pen.lineTo(across(at), up(value));
          else {
            pen.moveTo(across(at), up(value));
            down = true;
          }
        });
        pen.stroke();
      }

      function visible(values, put) {
        const first = Math.max(0, Math.floor(from * told.rate) - 1);
        const last = Math.min(values.length - 1, Math.ceil((from + wide) * told.rate) + 1);
        for (let at = first; at <= last; at += 1) put(values[at], (at + 0.5) / told.rate);
      }
    }

    const colourOf = (button) => getComputedStyle(button.querySelector(".key")).backgroundColor;

    function tell() {
      const at = Math.round(now * told.rate);
      told.lines.forEach((line, number) => {
        const value = line.values[Math.min(at, line.values.length - 1)];
        names[number].querySelector("output").textContent =
          value === null || value === undefined ? "none" : value.toFixed(high < 1 ? 3 : 2);
      });
      const { from, wide } = view();
      whole.querySelector(".cursor").style.left = `${(100 * now) / seconds}%`;
      const seen = whole.querySelector(".seen").style;
      seen.left = `${(100 * from) / seconds}%`;
      seen.width = `${(100 * wide) / seconds}%`;
    }

    function wish(at) {
      const detail = { seconds: Math.min(Math.max(at, 0), seconds) };
      box.dispatchEvent(new CustomEvent("wanted", { detail }));
    }

    function dragged(element, moved) {
      element.addEventListener("pointerdown", (event) => {
        element.setPointerCapture(event.pointerId);
        const start = { x: event.clientX, now };
        moved(event, start);
        const follow = (next) => moved(next, start);
        element.addEventListener("pointermove", follow);
        for (const end of ["pointerup", "pointercancel"]) {
          element.addEventListener(end, () => element.removeEventListener("pointermove", follow), { once: true });
        }
      });
    }

    dragged(near, (event, start) => {
      if (event.type === "pointerdown") return;
      const { width } = near.getBoundingClientRect();
      wish(start.now - ((event.clientX - start.x) * view().wide) / (width - LEFT - 8));
    });
    dragged(whole.querySelector(".curve"), (event) => {
      const { left, width } = whole.getBoundingClientRect();
      wish((seconds * (event.clientX - left)) / width);
    });
    names.forEach((button) =>
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
        draw();
      }),
    );
    span.addEventListener("change", () => {
      draw();
      tell();
    });
    box.addEventListener("heard", draw);
    box.addEventListener("moved", (event) => {
      now = event.detail.seconds;
      draw();
      tell();
    });
    new ResizeObserver(draw).observe(near);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    draw();
    tell();
  }
})();
