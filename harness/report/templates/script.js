"use strict";
// Without this script the page shows all it holds; with it tables sort and filter, and a reader picks a picture.
(() => {
  const all = (query, where = document) => [...where.querySelectorAll(query)];
  const one = (query, where = document) => where.querySelector(query);

  // What a row, a column or a table can be of.
  const OF = ["explainer", "class", "claim", "metric"];

  // ---------------------------------------------------------------- sorting

  const RANK = { "pass": 3, "inconclusive": 2, "fail": 1, "not applicable": 0 };
  const EMPTY = ["", "–", "undefined", "no images"];

  const words = (cell) => cell.firstChild ? cell.innerText.trim() : "";

  // What a cell is sorted by: its verdict's rank, then its numbers in their order; null for what is undefined.
  function key(cell, textual) {
    const text = words(cell);
    if (cell.dataset.verdict === undefined && EMPTY.includes(text)) return null;
    if (textual) return [text.toLowerCase()];
    const numbers = (text.replace(/(\d),(\d)/g, "$1$2").match(/[+-]?\d*\.?\d+/g) || []).map(Number);
    return cell.dataset.verdict === undefined ? numbers : [RANK[cell.dataset.verdict], ...numbers];
  }

  function compare(a, b) {
    for (let i = 0; i < Math.max(a.length, b.length); i += 1) {
      if (a[i] === undefined) return -1;
      if (b[i] === undefined) return 1;
      const order = typeof a[i] === "string" ? a[i].localeCompare(b[i]) : a[i] - b[i];
      if (order) return order;
    }
    return 0;
  }

  // What is of no explainer, class or metric, as a count or a mean of all, stays above the others.
  const pinned = (row) => !OF.some((name) => row.dataset[name] !== undefined);

  function sort(table, column, direction) {
    const held = all("tbody tr", table).sort((a, b) => a.dataset.place - b.dataset.place);
    const rows = held.filter((row) => !pinned(row));
    const cells = rows.map((row) => row.cells[column]);
    const textual = !cells.some((cell) => cell.dataset.verdict !== undefined || /^[<+-]?[\d.]/.test(words(cell)));
    const keyed = rows.map((row, i) => ({ row, key: key(cells[i], textual) }));
    if (direction !== "none") {
      const sign = direction === "ascending" ? 1 : -1;
      keyed.sort((a, b) =>
        a.key === null || b.key === null ? (a.key === null) - (b.key === null) : sign * compare(a.key, b.key));
    }
    one("tbody", table).append(...held.filter(pinned), ...keyed.map((each) => each.row));
  }

  // A number is wanted from the largest, a name from the first letter; the third time the table is as it was.
  function next(head, column) {
    const order = column === 0 ? ["none", "ascending", "descending"] : ["none", "descending", "ascending"];
    return order[(order.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
  }

  function sortable(table) {
    all("tbody tr", table).forEach((row, i) => { row.dataset.place = i; });
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...[...head.childNodes].filter((each) => each.tagName !== "SMALL"));
      head.prepend(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const direction = next(head, column);
        heads.forEach((each) => each.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", direction);
        sort(table, column, direction);
      });
    });
  }

  // ---------------------------------------------------------------- filtering

  const unlike = (part, wanted) =>
    OF.some((name) => wanted[name] && part.dataset[name] !== undefined && part.dataset[name] !== wanted[name]);

  function filterTable(table, wanted) {
    const heads = all("thead th", table);
    const off = heads.map((head) => unlike(head, wanted));
    heads.forEach((head, i) => { head.hidden = off[i]; });
    let shown = 0;
    for (const row of all("tbody tr", table)) {
      let judged = false;
      let match = false;
      [...row.cells].forEach((cell, i) => {
        cell.hidden = off[i];
        const verdict = cell.dataset.verdict;
        const other = Boolean(wanted.verdict) && verdict !== undefined && verdict !== wanted.verdict;
        cell.classList.toggle("off", other);
        if (verdict !== undefined && !off[i]) {
          judged = true;
          match = match || !other;
        }
      });
      row.hidden = unlike(row, wanted) || (Boolean(wanted.verdict) && judged && !match);
      shown += row.hidden ? 0 : 1;
    }
    return shown;
  }

  function filter(form) {
    const wanted = Object.fromEntries(new FormData(form));
    const active = Object.values(wanted).some(Boolean);
    let shown = 0;
    let held = 0;
    for (const table of all("table.sortable")) {
      const block = table.closest(".block") || table.parentElement;
      const here = unlike(block, wanted) ? 0 : filterTable(table, wanted);
      block.hidden = active && here === 0;
      shown += here;
      held += table.tBodies[0].rows.length;
    }
    all("li[data-explainer], figure[data-explainer]").forEach((part) => { part.hidden = unlike(part, wanted); });
    one("output", form).textContent = active ? `${shown} of ${held} rows of all tables` : "";
    if (wanted.class) pickClass(wanted.class);
  }

  // ---------------------------------------------------------------- pictures

  const pick = one("#pick");

  function options(select, values, texts = values) {
    select.replaceChildren(...values.map((value, i) => new Option(texts[i], value)));
  }

  function pickClass(name) {
    if (!pick) return;
    const held = all("details.picture").filter((each) => each.dataset.of === name);
    if (!held.length) return;
    pick.elements.of.value = name;
    options(pick.elements.picture, held.map((each) => each.dataset.title));
    showPicture();
  }

  function showPicture() {
    const { of, picture } = pick.elements;
    for (const each of all("details.picture")) {
      each.hidden = each.dataset.of !== of.value || each.dataset.title !== picture.value;
      each.open = !each.hidden;
    }
  }

  function choosePictures() {
    options(pick.elements.of, [...new Set(all("details.picture").map((each) => each.dataset.of))]);
    pick.elements.of.addEventListener("change", () => pickClass(pick.elements.of.value));
    pick.elements.picture.addEventListener("change", showPicture);
    pick.addEventListener("submit", (event) => event.preventDefault());
    pick.hidden = false;
    pickClass(pick.elements.of.value);
  }

  // ---------------------------------------------------------------- what is said of a cell

  const tip = one("#tip");
  let told = null;

  function tell(part) {
    silence();
    told = part;
    tip.textContent = part.dataset.tip;
    tip.hidden = false;
    part.setAttribute("aria-describedby", "tip");
    beside(part);
  }

  function beside(part) {
    const at = part.getBoundingClientRect();
    const { width, height } = tip.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - width - 8));
    const above = at.bottom + height + 8 > window.innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${above ? Math.max(0, at.top - height - 6) : at.bottom + 6}px`;
  }

  function silence() {
    if (told) told.removeAttribute("aria-describedby");
    told = null;
    tip.hidden = true;
  }

  function tips() {
    for (const part of all("td [title]")) {
      part.dataset.tip = part.title;
      part.removeAttribute("title");
      part.addEventListener("mouseenter", () => tell(part));
      part.addEventListener("mouseleave", silence);
      part.addEventListener("focus", () => tell(part));
      part.addEventListener("blur", silence);
    }
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") silence(); });
    // Focus scrolls to its cell, and what is said of it goes along; the mouse is no longer where it was.
    const follow = () => { if (told && told === document.activeElement) beside(told); else silence(); };
    document.addEventListener("scroll", follow, { capture: true, passive: true });
  }

  // ---------------------------------------------------------------- evidence

  // A place inside a closed part of the page is opened, and shown whatever is filtered.
  function reveal() {
    const place = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!place) return;
    const form = one("#filter");
    if (place.closest("[hidden]")) form.reset();
    for (let part = place; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
    place.scrollIntoView({ block: "center" });
  }

  // ---------------------------------------------------------------- wide tables

  // What goes on beyond the edge of the window fades there, so that a reader scrolls.
  function fade(part) {
    const look = () => part.classList.toggle("more", part.scrollWidth - part.clientWidth - part.scrollLeft > 1);
    part.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(part);
    if (part.firstElementChild) new ResizeObserver(look).observe(part.firstElementChild);
  }

  // ---------------------------------------------------------------- searching

  function search(form) {
    const wanted = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = all("table.sortable tbody tr");
    rows.forEach((row) => {
      const held = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => held.includes(word));
    });
    const shown = rows.filter((row) => !row.hidden).length;
    one("output", form).textContent = wanted.length ? `${shown} of ${rows.length} runs` : "";
  }

  function listen(form, happening, act) {
    if (!form) return;
    form.hidden = false;
    form.addEventListener(happening, () => act(form));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => act(form)));
  }

  all("table.sortable").forEach(sortable);
  all(".wide").forEach(fade);
  if (tip) tips();
  if (pick) choosePictures();
  listen(one("#filter"), "change", filter);
  listen(one("#search"), "input", search);
  window.addEventListener("hashchange", reveal);
  reveal();
})();
