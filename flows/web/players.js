// Films that play as one: a leader is heard and keeps the time, the others are muted and follow it.
// Each block is by itself; `box.player` is what others may ask of it.
(() => {
  "use strict";
  const MOST_APART_S = 0.15; // further off, all wait for each other; nearer, one runs a little faster or slower
  const FAR_S = 0.025; // from here on it is pulled, until it is within
  const NEAR_S = 0.005;
  for (const box of document.querySelectorAll(".players")) box.player = start(box);

  function start(box) {
    const films = [...box.querySelectorAll("video")];
    const rate = Number(box.dataset.rate);
    const frames = Number(box.dataset.frames);
    const slider = box.querySelector("input[type=range]");
    const clock = box.querySelector("output");
    const playing = box.querySelector("[data-do=play]");
    const hearing = [...box.querySelectorAll(".hear")];
    let frame = 0;
    let heard = 0; // which film; -1: none
    let speed = 1;
    let going = false;
    let turn = 0; // of those who wait for all films, only the last may go on

    // The middle of a frame: its beginning may be rounded into the frame before.
    const moment = (number) => (number + 0.5) / rate;
    const leader = () => films[Math.max(heard, 0)];

    function tell() {
      const seconds = frame / rate;
      const minutes = Math.floor(seconds / 60);
      const rest = (seconds % 60).toFixed(2).padStart(5, "0");
      slider.value = String(frame);
      slider.setAttribute("aria-valuetext", `${seconds.toFixed(2)} seconds, frame ${frame}`);
      clock.textContent = `${minutes}:${rest}  frame ${frame}`;
      box.dispatchEvent(new CustomEvent("moved", { detail: { seconds, frame } }));
    }

    function show(number) {
      frame = Math.min(Math.max(Math.round(number), 0), frames - 1);
      for (const film of films) film.currentTime = moment(frame);
      tell();
    }

    function ready(film) {
      const there = () => film.error || film.ended || (film.readyState >= 3 && !film.seeking);
      if (there()) return Promise.resolve();
      return new Promise((done) => {
        const look = () => there() && done();
        for (const name of ["canplay", "seeked", "error"]) film.addEventListener(name, look);
      });
    }

    async function play() {
      if (going) return;
      going = true;
      mark();
      load();
      box.dispatchEvent(new CustomEvent("playing", { bubbles: true }));
      if (frame >= frames - 1) show(0);
      await together();
    }

    async function together() {
      const mine = (turn += 1);
      await Promise.all(films.map(ready));
      if (!going || mine !== turn) return; // stopped while waiting
      for (const film of films) film.playbackRate = speed;
      // One that has ended would begin again: it is shorter than the others, and stays at its end.
      const left = films.filter((film) => !film.ended);
      await Promise.all(left.map((film) => film.play().catch(() => {})));
      if (going && mine === turn) requestAnimationFrame(follow);
    }

    // A machine that is too busy shows less, but never films that are out of step.
    function gather(now) {
      for (const film of films) {
        film.pause();
        film.currentTime = now;
      }
      together();
    }

    function stop() {
      if (!going) return;
      going = false;
      for (const film of films) film.pause();
      frame = Math.min(Math.floor(leader().currentTime * rate + 1e-3), frames - 1);
      show(frame); // all of them on the very same frame
      mark();
    }

    function follow() {
      if (!going) return;
      const now = leader().currentTime;
      if (leader().ended || now >= moment(frames - 1)) {
        stop();
        show(frames - 1);
        return;
      }
      if (leader().paused) return stop(); // by a key of the machine, or by its headphones
      const others = films.filter((film) => film !== leader() && !film.ended && !film.error);
      if (others.some((film) => Math.abs(film.currentTime - now) > MOST_APART_S)) return gather(now);
      for (const film of others) pull(film, now);
      frame = Math.floor(now * rate + 1e-3);
      tell();
      requestAnimationFrame(follow);
    }

    function pull(film, now) {
      const off = film.currentTime - now;
      if (film.paused) film.play().catch(() => {});
      // A change of speed costs a player a moment: it is left alone while it is near, or getting near.
      const pulled = film.playbackRate - speed;
      if (pulled ? off * pulled < 0 && Math.abs(off) > NEAR_S : Math.abs(off) < FAR_S) return;
      const change = Math.abs(off) < FAR_S ? 0 : Math.max(-0.2, Math.min(0.2, -2 * off));
      film.playbackRate = speed * (1 + change);
    }

    function hear(number) {
      heard = number === heard ? -1 : number;
      films.forEach((film, at) => {
        film.muted = at !== heard;
      });
      leader().playbackRate = speed;
      hearing.forEach((button, at) => button.setAttribute("aria-pressed", String(at === heard)));
      box.dispatchEvent(new CustomEvent("heard"));
    }

    function mark() {
      playing.classList.toggle("going", going);
      playing.setAttribute("aria-label", going ? "pause" : "play");
    }

    function step(by) {
      stop();
      show(frame + by);
    }

    // Of a long page no film is loaded before it is near.
    function load() {
      for (const film of films) film.preload = "auto";
    }

    const doing = {
      play: () => (going ? stop() : play()),
      back: () => step(-1),
      on: () => step(1),
      start: () => step(-frames),
      end: () => step(frames),
    };
    for (const button of box.querySelectorAll("[data-do]")) {
      button.addEventListener("click", () => doing[button.dataset.do]());
    }
    hearing.forEach((button, at) => button.addEventListener("click", () => hear(at)));
    films.forEach((film, at) => {
      film.removeAttribute("controls");
      film.muted = at !== heard;
      film.addEventListener("click", doing.play);
    });
    slider.addEventListener("input", () => {
      stop();
      show(Number(slider.value));
    });
    box.querySelector("select").addEventListener("change", (event) => {
      speed = Number(event.target.value);
      for (const film of films) film.playbackRate = speed;
    });
    // What draws the curves asks for another moment so.
    box.addEventListener("wanted", (event) => {
      stop();
      show(event.detail.seconds * rate);
    });
    new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && load()).observe(box);

    box.classList.add("live");
    Promise.all(films.map(ready)).then(() => {
      box.dataset.ready = "yes";
    });
    show(0);

    return {
      rate,
      count: films.length,
      ...doing,
      step,
      stop,
      going: () => going,
      to(number) {
        stop();
        show(number);
      },
      // Of this film and no other, or of none.
      hear(number) {
        if (number !== heard) hear(number < 0 ? heard : number);
      },
      mute: () => hear(heard),
    };
  }
})();
