// A call from this browser: WebRTC to the server, G.711 both ways, and what the server tells of the call meanwhile.
(() => {
  "use strict";
  const root = document.querySelector("[data-try]");
  if (!root) return;
  const part = (name) => document.querySelector(`[data-try-${name}]`);
  const [problem, state, callButton, endButton, muteButton] = ["problem", "state", "call", "end", "mute"].map(part);
  const called = root.querySelector("#try-called");
  const turns = root.querySelector("[data-turns]");
  const growing = root.querySelector("[data-growing]");
  const sound = part("sound");
  const SPEECH = 0.02; // root mean square of samples in -1…1: louder is somebody speaking
  const PAUSE_MS = 250; // a breath, not an end

  const url = (path = "") => `${root.dataset.calls}${path}?tenant_id=${encodeURIComponent(root.dataset.tenant)}`;
  const say = (text) => { state.textContent = text; };
  const complain = (text) => { problem.hidden = !text; problem.querySelector("p").textContent = text; };
  const ENDS = {
    refused: "The call was refused", server: "The other side hung up", browser_gone: "The call was cut off",
    not_connected: "Sound could not reach the server", away: "The server ended the call",
  };
  const REFUSALS = {
    404: "nobody answers this number: it has no published scenario", 480: "this server may not keep the project's calls",
    486: "the tenant is at its limit of calls", 503: "no line is free", 408: "nobody answered in time",
  };
  let call; // the one that is up

  if (!navigator.mediaDevices || !window.RTCPeerConnection || !window.EventSource) {
    complain("This browser gives no microphone to this page. Open it over HTTPS, or on the server itself at http://127.0.0.1.");
    return;
  }
  callButton.disabled = false;

  const level = (analyser, samples) => {
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    return Math.sqrt(sum / samples.length);
  };

  // Shows both levels, and how long the other side took to answer after one has fallen silent: as it is heard here.
  const listen = (audio, mine, theirs) => {
    const ears = [mine, theirs].map((stream) => {
      const analyser = audio.createAnalyser();
      analyser.fftSize = 512;
      audio.createMediaStreamSource(stream).connect(analyser);
      return analyser;
    });
    const samples = new Float32Array(512);
    const meters = [root.querySelector("#try-mine"), root.querySelector("#try-theirs")];
    let iSpokeAt, theySpokeAt = 0, owed = false;
    return setInterval(() => {
      const now = performance.now();
      const [me, they] = ears.map((ear) => level(ear, samples));
      [me, they].forEach((loud, which) => { meters[which].value = Math.min(1, loud * 6); });
      if (me > SPEECH) { iSpokeAt = now; owed = true; }
      if (they > SPEECH) {
        if (owed && now - iSpokeAt > PAUSE_MS && now - theySpokeAt > PAUSE_MS) {
          part("answer").textContent = `${Math.round(now - iSpokeAt)} ms`;
          owed = false;
        }
        theySpokeAt = now;
      }
    }, 20);
  };

  const measure = (peer) => {
    let before = { delay: 0, count: 0 };
    return setInterval(async () => {
      for (const one of (await peer.getStats()).values()) {
        if (one.type === "candidate-pair" && one.nominated && one.currentRoundTripTime !== undefined) {
          part("network").textContent = `${Math.round(one.currentRoundTripTime * 1000)} ms`;
        } else if (one.type === "inbound-rtp" && one.jitterBufferEmittedCount > before.count) {
          const held = (one.jitterBufferDelay - before.delay) / (one.jitterBufferEmittedCount - before.count);
          part("buffer").textContent = `${Math.round(held * 1000)} ms`;
          before = { delay: one.jitterBufferDelay, count: one.jitterBufferEmittedCount };
        }
      }
    }, 1000);
  };

  const showTurn = ({ number, role, text, is_whole }) => {
    part("silent").hidden = true;
    growing.hidden = is_whole;
    if (!is_whole) { growing.querySelector("span").textContent = text; return; }
    if (turns.querySelector(`[data-number="${number}"]`)) return;
    const turn = document.createElement("li");
    turn.className = `said said-${role}`;
    turn.dataset.number = number;
    const who = document.createElement("b");
    who.textContent = role === "caller" ? "You" : "Agent";
    const what = document.createElement("span");
    what.textContent = text;
    turn.append(who, " ", what);
    turns.append(turn);
    turns.parentElement.scrollTop = turns.parentElement.scrollHeight;
  };

  const inCall = (is) => {
    callButton.hidden = is;
    called.disabled = is;
    for (const name of ["end", "mute", "meters", "facts", "keys"]) part(name).hidden = !is;
    if (!is) growing.hidden = true;
  };

  const finish = (text, { tell = true } = {}) => {
    const over = call;
    call = undefined;
    if (!over) return;
    over.events?.close();
    over.timers.forEach(clearInterval);
    over.peer.close();
    over.mine?.getTracks().forEach((track) => track.stop());
    over.audio?.close();
    sound.srcObject = null;
    if (tell && over.id) fetch(url(`/${over.id}`), { method: "DELETE", keepalive: true }).catch(() => {});
    const link = part("over");
    if (over.session) {
      link.querySelector("a").href = link.querySelector("a").href.replace(/calls\/.*$/, `calls/${over.session}`);
      link.hidden = false;
    }
    inCall(false);
    say(text);
  };

  const moved = ({ state: now, status, reason, session_id }) => {
    if (!call) return;
    call.session = session_id || call.session;
    if (now === "ended") {
      const why = ENDS[reason] || "The call is over";
      finish(reason === "refused" ? `${why}: ${REFUSALS[status] || status}` : why, { tell: false });
      return;
    }
    say({ connecting: "Connecting…", connected: "Ringing…", ringing: "Ringing…", up: "In a call" }[now]);
  };

  const follow = () => {
    const events = new EventSource(url(`/${call.id}/events`));
    events.addEventListener("state", (message) => moved(JSON.parse(message.data)));
    events.addEventListener("turn", (message) => showTurn(JSON.parse(message.data)));
    events.addEventListener("error", () => { if (events.readyState === EventSource.CLOSED) finish("The server no longer knows this call", { tell: false }); });
    return events;
  };

  const begin = async () => {
    complain("");
    turns.replaceChildren();
    part("silent").hidden = false;
    part("over").hidden = true;
    for (const name of ["answer", "network", "buffer"]) part(name).textContent = "–";
    const peer = new RTCPeerConnection();
    call = { peer, timers: [] };
    const own = call;
    inCall(true);
    say("Waiting for the microphone…");
    try {
      own.mine = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
    } catch (error) {
      finish("Not in a call");
      complain(error.name === "NotAllowedError"
        ? "The microphone was refused. Allow it for this page, beside the address, and call again."
        : "No microphone was found. Connect one, and call again.");
      return;
    }
    if (own !== call) { own.mine.getTracks().forEach((track) => track.stop()); return; } // hung up meanwhile
    own.audio = new AudioContext();
    own.audio.resume();
    own.sender = peer.addTrack(own.mine.getAudioTracks()[0], own.mine);
    peer.addEventListener("track", ({ track }) => {
      const theirs = new MediaStream([track]);
      sound.srcObject = theirs;
      own.timers.push(listen(own.audio, own.mine, theirs), measure(peer));
    });
    say("Connecting…");
    try {
      await peer.setLocalDescription(await peer.createOffer());
      const answer = await fetch(url(), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ called: called.value, offer: peer.localDescription.sdp }),
      });
      const content = await answer.json();
      if (!answer.ok) throw new Error([content.detail, content.remedy].filter(Boolean).join(" "));
      own.id = content.id;
      if (own !== call) { fetch(url(`/${own.id}`), { method: "DELETE" }); return; }
      await peer.setRemoteDescription({ type: "answer", sdp: content.answer });
      own.events = follow();
    } catch (error) {
      if (own !== call) return;
      finish("Not in a call");
      complain(error.message);
    }
  };

  callButton.addEventListener("click", begin);
  endButton.addEventListener("click", () => finish("You hung up"));
  muteButton.addEventListener("click", () => {
    const track = call?.mine?.getAudioTracks()[0];
    if (!track) return;
    track.enabled = !track.enabled;
    muteButton.setAttribute("aria-pressed", String(!track.enabled));
  });
  part("keys").addEventListener("click", (event) => {
    const key = event.target.closest("[data-key]");
    if (key && call?.sender?.dtmf) call.sender.dtmf.insertDTMF(key.dataset.key, 160);
  });
  addEventListener("pagehide", () => finish(""));
})();
