// What makes pages pleasanter. Every page can be read and used without.
(() => {
  "use strict";

  // The server lets days begin where they do here.
  const secure = location.protocol === "https:";
  const zone = encodeURIComponent(new Intl.DateTimeFormat().resolvedOptions().timeZone);
  document.cookie = `${secure ? "__Host-" : ""}zone=${zone}; Path=/; Max-Age=31536000; SameSite=Strict${secure ? "; Secure" : ""}`;

  const styles = {
    datetime: { dateStyle: "medium", timeStyle: "short" },
    date: { dateStyle: "medium" },
    time: { timeStyle: "medium" },
  };

  // A date of this year goes without it.
  const written = (at, style) => {
    if (style === "time" || at.getFullYear() !== new Date().getFullYear()) {
      return new Intl.DateTimeFormat(undefined, styles[style] || styles.datetime).format(at);
    }
    const day = { day: "numeric", month: "short" };
    const clock = { hour: "2-digit", minute: "2-digit" };
    return new Intl.DateTimeFormat(undefined, style === "date" ? day : { ...day, ...clock }).format(at);
  };

  const ago = (at) => {
    const seconds = (at - Date.now()) / 1000;
    const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
    for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
      if (Math.abs(seconds) >= length) return words.format(Math.trunc(seconds / length), unit);
    }
    return words.format(Math.trunc(seconds), "second");
  };

  // Times stand in UTC; here they become the viewer's own, with UTC left as the title.
  const localTimes = (root) => {
    for (const element of root.querySelectorAll("time[data-local]")) {
      const at = new Date(element.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      element.title = element.dateTime;
      const style = element.dataset.local;
      element.textContent = style === "ago" ? ago(at) : written(at, style);
      delete element.dataset.local;
    }
  };

  const copyButtons = (root) => {
    for (const button of root.querySelectorAll("[data-copy]")) {
      if (!navigator.clipboard) continue;
      button.hidden = false;
      if (button.dataset.ready) continue;
      button.dataset.ready = "1";
      const label = button.textContent;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = label; }, 1500);
      });
    }
  };

  // The box in the head of a list ticks all of it; what can be done with ticked rows shows how many there are.
  const choices = (root) => {
    for (const form of root.querySelectorAll("form[data-choices]")) {
      if (form.dataset.ready) continue;
      form.dataset.ready = "1";
      const all = form.querySelector("[data-choose-all]");
      const boxes = [...form.querySelectorAll("tbody input[type=checkbox]")];
      const bar = form.querySelector("[data-chosen]");
      const show = () => {
        const ticked = boxes.filter((box) => box.checked).length;
        if (all) {
          all.checked = ticked > 0 && ticked === boxes.length;
          all.indeterminate = ticked > 0 && ticked < boxes.length;
        }
        if (bar) bar.querySelector("output").textContent = ticked === 1 ? "1 chosen" : `${ticked} chosen`;
        form.classList.toggle("has-chosen", ticked > 0);
      };
      if (all) {
        all.hidden = false;
        all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; show(); });
      }
      form.addEventListener("change", show);
      show();
    }
  };

  for (const form of document.querySelectorAll("[data-submit-on-change]")) {
    form.addEventListener("change", () => form.requestSubmit());
  }

  const ready = (root) => { localTimes(root); copyButtons(root); choices(root); };

  const switcher = document.querySelector("[data-theme-switch]");
  if (switcher) {
    switcher.hidden = false;
    switcher.addEventListener("click", () => {
      const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      const next = (document.documentElement.dataset.theme || system) === "dark" ? "light" : "dark";
      if (next === system) { delete document.documentElement.dataset.theme; localStorage.removeItem("theme"); }
      else { document.documentElement.dataset.theme = next; localStorage.setItem("theme", next); }
      document.dispatchEvent(new CustomEvent("theme"));
    });
  }

  // The menu stands open where there is room beside the page, and is folded above it where there is not.
  const menu = document.querySelector("[data-menu]");
  if (menu) {
    const wide = matchMedia("(min-width: 60rem)");
    const fit = () => { menu.open = wide.matches; };
    wide.addEventListener("change", fit);
    fit();
  }

  ready(document);
  document.addEventListener("htmx:after:swap", () => ready(document));
})();
