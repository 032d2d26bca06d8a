// Live: follows the calls that are up. Without it the page is read by reloading.
(() => {
  "use strict";
  const list = document.querySelector("[data-live]");
  if (!list || !window.EventSource) return;
  const empty = document.querySelector("[data-empty]");
  const away = document.querySelector("[data-away]");
  const cut = document.querySelector("[data-cut]");
  const told = document.querySelector("[data-told]");
  const waiting = new Map(); // of calls whose card is on its way: what happened meanwhile
  const OVER_MS = 20000;

  const cardOf = (id) => list.querySelector(`[data-session="${CSS.escape(id)}"]`);
  const words = (state) => (state.charAt(0).toUpperCase() + state.slice(1)).replaceAll("_", " ");
  const fit = () => { empty.hidden = list.querySelector("[data-session]") !== null; };

  const showState = (card, state) => {
    card.dataset.state = state;
    const badge = card.querySelector("[data-state-word]");
    badge.textContent = words(state);
    badge.className = `badge badge-${state === "paused" ? "warn" : "live"}`;
    for (const form of card.querySelectorAll("[data-when]")) form.hidden = form.dataset.when !== state;
    if (state !== "ended") return;
    badge.className = "badge";
    card.querySelector("[data-acts]")?.remove();
    card.querySelector("[data-growing]").hidden = true;
    card.querySelector("[data-over]").hidden = false;
    setTimeout(() => { if (!card.contains(document.activeElement)) { card.remove(); fit(); } }, OVER_MS);
  };

  const showTurn = (card, { number, role, text, is_whole }) => {
    const growing = card.querySelector("[data-growing]");
    growing.hidden = is_whole;
    if (!is_whole) { growing.querySelector("span").textContent = text; return; }
    const turns = card.querySelector("[data-turns]");
    if (turns.querySelector(`[data-number="${number}"]`)) return;
    const log = turns.parentElement;
    const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const turn = document.createElement("li");
    turn.className = `said said-${role}`;
    turn.dataset.number = number;
    const who = document.createElement("b");
    who.textContent = words(role);
    const what = document.createElement("span");
    what.textContent = text;
    turn.append(who, " ", what);
    turns.append(turn);
    if (follows) log.scrollTop = log.scrollHeight;
  };

  const fetchCard = async (id) => {
    waiting.set(id, []);
    let text = "";
    try {
      // The page asks by itself: that is no sign of somebody being there.
      const answer = await fetch(`${list.dataset.cards}${id}/card`, { headers: { "HX-Request": "true" } });
      if (answer.ok) text = await answer.text();
    } catch { /* the stream tells of the call again */ }
    const changes = waiting.get(id);
    waiting.delete(id);
    if (!text || cardOf(id)) return;
    const made = document.createElement("template");
    made.innerHTML = text;
    list.append(made.content);
    const card = cardOf(id);
    if (!card) return;
    document.dispatchEvent(new CustomEvent("htmx:after:swap"));
    told.textContent = `New call: ${card.querySelector("h2").textContent.trim()}`;
    fit();
    tick();
    for (const change of changes) change(card);
  };

  const change = (id, how) => {
    const card = cardOf(id);
    if (card) how(card);
    else if (waiting.has(id)) waiting.get(id).push(how);
  };

  const tick = () => {
    for (const since of list.querySelectorAll("[data-since]")) {
      if (since.closest("[data-state]").dataset.state === "ended") continue;
      const seconds = Math.max(0, Math.floor((Date.now() - new Date(since.dataset.since)) / 1000));
      since.textContent = `· ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    }
  };

  let lost;
  const source = new EventSource(list.dataset.events);
  source.addEventListener("open", () => { clearTimeout(lost); lost = undefined; cut.hidden = true; });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) cut.querySelector("p").textContent = "The server no longer tells of calls here. Reload the page.";
    lost ??= setTimeout(() => { cut.hidden = false; }, 3000); // each minute the stream begins anew, which is no loss
  });
  source.addEventListener("desk", (message) => {
    const { is_up, session_ids } = JSON.parse(message.data);
    away.hidden = is_up;
    for (const card of list.querySelectorAll("[data-session]")) {
      if (!session_ids.includes(card.dataset.session) && card.dataset.state !== "ended") is_up ? showState(card, "ended") : card.remove();
    }
    fit();
  });
  source.addEventListener("call", (message) => {
    const { session_id, state } = JSON.parse(message.data);
    if (!cardOf(session_id) && !waiting.has(session_id) && state !== "ended") fetchCard(session_id);
    change(session_id, (card) => showState(card, state));
  });
  source.addEventListener("turn", (message) => {
    const turn = JSON.parse(message.data);
    change(turn.session_id, (card) => showTurn(card, turn));
  });
  for (const log of list.querySelectorAll(".live-log")) log.scrollTop = log.scrollHeight;
  setInterval(tick, 1000);
  tick();
})();
