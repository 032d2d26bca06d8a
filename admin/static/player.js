// The recording: both sides as waves, and the transcript following what is heard. The audio element plays without it.
(() => {
  "use strict";
  const nonce = document.currentScript.nonce;
  const player = document.querySelector("[data-player]");
  if (!player) return;
  const audio = player.querySelector("audio");
  const turns = [...document.querySelectorAll("[data-turns] .turn")];
  const fromMs = Number(player.dataset.fromMs);

  const playFrom = (seconds) => {
    audio.currentTime = seconds;
    audio.play();
  };
  for (const link of document.querySelectorAll("[data-seek]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      playFrom(Number(link.dataset.seek));
    });
  }

  let spoken = [];
  audio.addEventListener("timeupdate", () => {
    const now = audio.currentTime * 1000 + fromMs;
    const current = turns.filter((turn) => now >= Number(turn.dataset.from) && now < Number(turn.dataset.to));
    for (const turn of spoken) if (!current.includes(turn)) turn.classList.remove("is-spoken");
    for (const turn of current) {
      if (spoken.includes(turn)) continue;
      turn.classList.add("is-spoken");
      if (!audio.paused) turn.scrollIntoView({ block: "nearest", behavior: "smooth" });
    }
    spoken = current;
  });

  const colour = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const faded = (rgb) => rgb.replace(/^rgb\((.*)\)$/, "rgba($1, 0.6)");

  const draw = async () => {
    if (typeof WaveSurfer === "undefined") return;
    const answer = await fetch(player.dataset.wave, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const wave = await answer.json();
    const place = player.querySelector("[data-wave-here]");
    place.hidden = false;
    const side = (name) => ({ waveColor: faded(colour(name)), progressColor: colour(name) });
    const make = () => WaveSurfer.create({
      container: place,
      media: audio,
      peaks: [wave.caller, wave.agent],
      duration: wave.duration_s,
      height: 52,
      barWidth: 2,
      barGap: 1,
      barRadius: 2,
      cursorColor: colour("ink"),
      splitChannels: [side("caller"), side("agent")],
      cspNonce: nonce,
    });
    let shown = make();
    document.addEventListener("theme", () => {
      shown.setOptions({ splitChannels: [side("caller"), side("agent")], cursorColor: colour("ink") });
    });
  };
  draw();
})();
