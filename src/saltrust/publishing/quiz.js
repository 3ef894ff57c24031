"use strict";
// The study's page: it shows the tasks, keeps the answers, and hands them over as a file. It loads and sends nothing.

const quiz = JSON.parse(document.getElementById("items").textContent);
const SHOWN = { neither: [], scores: ["scores"], maps: ["maps"], both: ["maps", "scores"] };
const ARMS = Object.keys(SHOWN);
const PLACE = `saltrust-quiz-${quiz.version}`;
const GROUPS = [
  ["tp", (name) => `It is ${name}, and the network said so`],
  ["fn", (name) => `It is ${name}, but the network said something else`],
  ["fp", (name) => `It is not ${name}, but the network said so`],
];
const at = (id) => document.getElementById(id);
const forms = ["start", "resume", "task", "end"];
let state = null; // number, arm, assigned, order, answers
let begun = 0; // when the task was shown

const element = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

// FNV-1a, 32 bits: it finds what was changed by accident, or by hand.
const hash = (text) => {
  let value = 0x811c9dc5;
  for (const letter of text) value = Math.imul(value ^ letter.codePointAt(0), 0x01000193);
  return value >>> 0;
};

// Mulberry32: the same numbers from the same text in every browser.
const shuffled = (list, text) => {
  let seed = hash(text);
  const random = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const found = [...list];
  for (let last = found.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [found[last], found[other]] = [found[other], found[last]];
  }
  return found;
};

// A browser may keep nothing for a page on disk or within another page; then nothing can be taken up again.
const keep = (value) => { try { localStorage.setItem(PLACE, JSON.stringify(value)); } catch { /* not kept */ } };
const forget = () => { try { localStorage.removeItem(PLACE); } catch { /* nothing kept */ } };
const kept = () => {
  try {
    const found = JSON.parse(localStorage.getItem(PLACE));
    return ARMS.includes(found.arm) && found.order.length === quiz.tasks.length ? found : null;
  } catch { return null; }
};

const show = (form, title) => {
  for (const one of forms) at(one).hidden = one !== form;
  at("title").textContent = title;
  window.scrollTo(0, 0);
  at("title").focus({ preventScroll: true });
};

// Of four numbers that follow each other, each has another arm, in an order of their own.
const assigned = (number) => {
  const block = Math.floor((number - 1) / ARMS.length);
  return shuffled(ARMS, `${quiz.version} block ${block}`)[(number - 1) % ARMS.length];
};

const begin = (number) => {
  const asked = new URLSearchParams(location.search).get("arm");
  const order = shuffled(quiz.tasks.map((task) => task.id), `${quiz.version} order ${number}`);
  state = { number, arm: asked ?? assigned(number), assigned: asked ? "address" : "number", order, answers: [] };
  keep(state);
  next();
};

const scores = (rows, asked) => element("table", {},
  element("caption", { textContent: "Scores" }),
  element("tbody", {}, ...rows.map(([name, value]) => element("tr", {},
    element("th", { scope: "row", className: name === asked ? "asked" : "", textContent: name }),
    element("td", {}, element("meter", { min: 0, max: 1, value, ariaHidden: "true" })),
    element("td", { textContent: value.toFixed(2) })))));

const example = (one, number, asked) => {
  const shown = SHOWN[state.arm];
  const made = element("figure", {}, element("img", { src: one.image, alt: `Example ${number}` }));
  if (shown.includes("maps")) made.append(element("img", { src: one.map, alt: `Its saliency map` }));
  if (shown.includes("scores")) made.append(scores(one.scores, asked));
  return made;
};

const next = () => {
  const place = state.answers.length;
  if (place >= quiz.tasks.length) { finish(); return; }
  const task = quiz.tasks.find((one) => one.id === state.order[place]);
  const shown = SHOWN[state.arm];
  at("task").reset();
  at("task").className = shown.join(" ");
  for (const name of document.querySelectorAll(".name")) name.textContent = task.name;
  at("explained").textContent = [
    `Look at what the network made of these twelve images. This task is about ${task.name}.`,
    shown.includes("maps")
      ? `The map shows what in the image spoke for ${task.name} (red) or against it (blue).` : "",
    shown.includes("scores") ? "The scores say how much the network holds for each type; they add up to 1." : "",
  ].join(" ");
  let number = 0;
  at("examples").replaceChildren(...GROUPS.map(([kind, title]) => element("section", {},
    element("h2", { textContent: title(task.name) }),
    element("div", { className: "group" },
      ...task.examples.filter((one) => one.kind === kind).map((one) => example(one, ++number, task.name))))));
  at("question").src = task.question;
  show("task", `Task ${place + 1} of ${quiz.tasks.length}`);
  begun = Date.now();
};

const answered = (event) => {
  event.preventDefault();
  const given = new FormData(at("task"));
  state.answers.push({
    task: state.order[state.answers.length],
    recognised: given.get("recognised") === "yes",
    confidence: Number(given.get("confidence")),
    features: given.getAll("feature"),
    seconds: Math.round((Date.now() - begun) / 1000),
  });
  keep(state);
  next();
};

const exported = () => {
  const complete = state.answers.length === quiz.tasks.length;
  const body = { format: quiz.format, version: quiz.version, ...state, complete };
  return JSON.stringify({ ...body, check: hash(JSON.stringify(body)) }, null, 1);
};

// Only a page for the classroom knows what is right.
const results = () => {
  const rows = state.answers.map((one, place) => {
    const truth = quiz.truth[one.task];
    const said = truth.recognised ? "the network said so" : "the network did not say so";
    const right = one.recognised === truth.recognised;
    const found = one.features.filter((name) => truth.features.includes(name)).length;
    const name = quiz.tasks.find((task) => task.id === one.task).name;
    return [right, `Task ${place + 1}, ${name}: ${said}; you were ${right ? "right" : "wrong"}, at confidence `
      + `${one.confidence}. Features that you ticked: ${one.features.length}, true of this type: ${found}.`];
  });
  const right = rows.filter(([is]) => is).length;
  const yes = (list) => list.filter((one) => one.recognised).length;
  const said = yes(state.answers.map((one) => quiz.truth[one.task]));
  const score = `You were right in ${right} of ${rows.length} tasks; guessing gives half. You expected the network to say `
    + `so ${yes(state.answers)} times, and it did ${said} times.`;
  return [
    element("p", { className: "score", textContent: score }),
    element("ul", {}, ...rows.map(([, textContent]) => element("li", { textContent }))),
  ];
};

const finish = () => {
  const whole = state.answers.length === quiz.tasks.length;
  at("thanks").textContent = whole
    ? "Thank you. Please save your answers as a file and hand it over; nothing has been sent."
    : `You stopped after ${state.answers.length} of ${quiz.tasks.length} tasks. What you answered counts if you save it `
      + "and hand it over; nothing has been sent.";
  at("results").replaceChildren(...(quiz.truth && state.answers.length ? results() : []));
  at("answers").value = exported();
  at("back").hidden = whole;
  at("done").textContent = "";
  show("end", whole ? "Done" : "Stopped");
};

const download = () => {
  const address = URL.createObjectURL(new Blob([exported()], { type: "application/json" }));
  const name = `answers-${state.number}-${quiz.version.slice(0, 8)}.json`;
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
  at("done").textContent = `Saved as ${name}`;
};

const copy = async () => {
  try {
    await navigator.clipboard.writeText(exported());
    at("done").textContent = "Copied";
  } catch {
    at("answers").closest("details").open = true;
    at("answers").select();
    at("done").textContent = "Selected: copy it with Ctrl+C";
  }
};

const start = () => {
  const draw = new Uint32Array(1);
  crypto.getRandomValues(draw);
  at("start").reset();
  at("number").value = String(100000 + (draw[0] % 900000));
  show("start", "Predict the network");
};

at("start").addEventListener("submit", (event) => {
  event.preventDefault();
  begin(Number(at("number").value));
});
at("task").addEventListener("submit", answered);
at("stop").addEventListener("click", finish);
at("back").addEventListener("click", next);
at("download").addEventListener("click", download);
at("copy").addEventListener("click", copy);
at("go-on").addEventListener("click", next);
for (const id of ["anew", "forget"]) at(id).addEventListener("click", () => { forget(); start(); });

at("features").append(...quiz.features.map(([name, title]) => element("label", {},
  element("input", { type: "checkbox", name: "feature", value: name }), ` ${title}`)));
const asked = new URLSearchParams(location.search).get("arm");
state = kept();
if (asked !== null && !ARMS.includes(asked)) {
  at("problem").textContent = `There is no arm '${asked}'; this page knows ${ARMS.join(", ")}.`;
  at("problem").hidden = false;
} else if (state) {
  at("held").textContent = `${state.answers.length} of ${quiz.tasks.length}, number ${state.number}`;
  show("resume", "Go on?");
} else start();
