"use strict";
// Sliders over the answers to the newest issues. Everything is also in the tables: without this
// script nothing is missing but the comfort.
(function () {
  const RIGHT = 1, UNLABELLED = 2;
  const all = JSON.parse(document.getElementById("numbers").textContent);

  function wilson(hits, n) {
    if (!n) return null;
    const z = 1.959964, p = hits / n, d = 1 + z * z / n;
    const mid = (p + z * z / (2 * n)) / d;
    const wide = z * Math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d;
    return [Math.max(0, mid - wide), Math.min(1, mid + wide)];
  }
  const pct = x => Math.round(100 * x) + " %";
  function share(hits, n) {
    if (!n) return ["–", ""];
    const w = wilson(hits, n);
    return [pct(hits / n), Math.round(100 * w[0]) + " to " + Math.round(100 * w[1])];
  }
  function fill(cell, value) {
    cell.textContent = "";
    const b = document.createElement("b");
    b.textContent = value[0];
    cell.append(b);
    if (value[1]) {
      const small = document.createElement("span");
      small.className = "interval";
      small.textContent = value[1];
      cell.append(" ", small);
    }
  }
  function bar(cell, part) {
    cell.firstElementChild.style.inlineSize = 100 * part + "%";
  }

  all.forEach(function (d, place) {
    const box = document.getElementById("slide-" + place);
    const slider = box.querySelector("input[type=range]");
    const own = box.querySelector("input[type=checkbox]");
    const out = box.querySelector("output");
    const total = d.answers.length;

    function show() {
      const at = Number(slider.value) / 100;
      slider.disabled = own.checked;
      out.textContent = own.checked ? "each label's own" : pct(at);
      const over = i => own.checked ? (d.thresholds[i] === null ? Infinity : d.thresholds[i]) : at;
      const written = d.answers.filter(a => a[1] >= over(a[0]));
      const right = written.filter(a => a[2] === RIGHT).length;
      fill(box.querySelector("[data-say=precision]"), share(right, written.length));
      fill(box.querySelector("[data-say=coverage]"), share(written.length, total));
      box.querySelector("[data-say=n]").textContent =
        right + " of " + written.length + " right, of " + total + " issues";
      box.querySelector("[data-say=at]").textContent = own.checked
        ? "the proposed thresholds" : "a threshold of " + pct(at);
      d.labels.forEach(function (name, i) {
        const row = box.querySelector('[data-label="' + i + '"]');
        const mine = written.filter(a => a[0] === i);
        const hits = mine.filter(a => a[2] === RIGHT).length;
        const bare = mine.filter(a => a[2] === UNLABELLED).length;
        fill(row.querySelector("[data-say=precision]"), share(hits, mine.length));
        row.querySelector("[data-say=written]").textContent = mine.length;
        row.querySelector("[data-say=wrong]").textContent = mine.length - hits - bare;
        row.querySelector("[data-say=bare]").textContent = bare;
        fill(row.querySelector("[data-say=found]"), share(hits, d.carried[i]));
        bar(row.querySelector(".bar"), mine.length ? hits / mine.length : 0);
      });
    }
    slider.addEventListener("input", show);
    own.addEventListener("change", show);
    own.checked = d.thresholds.some(t => t !== null);
    box.querySelector(".slider").hidden = false;
    show();
  });

  document.querySelectorAll("button[data-copy]").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      const text = document.getElementById(button.dataset.copy).textContent;
      navigator.clipboard.writeText(text).then(function () {
        button.textContent = "copied";
      }, function () {
        const range = document.createRange();
        range.selectNodeContents(document.getElementById(button.dataset.copy));
        getSelection().removeAllRanges();
        getSelection().addRange(range);
      });
    });
  });
  addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(d => { d.open = true; });
  });
})();
