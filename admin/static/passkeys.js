// Passkeys: asks the browser to make one or to sign with one, and sends its answer as the form's field `answer`.
(() => {
  "use strict";

  const bytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
  };
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  const known = (keys) => (keys || []).map((key) => ({ ...key, id: bytes(key.id) }));

  const make = async (options) => {
    const made = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: known(options.excludeCredentials),
      },
    });
    return {
      id: made.id,
      rawId: text(made.rawId),
      type: made.type,
      response: {
        clientDataJSON: text(made.response.clientDataJSON),
        attestationObject: text(made.response.attestationObject),
        transports: made.response.getTransports ? made.response.getTransports() : [],
      },
    };
  };

  const sign = async (options) => {
    const signed = await navigator.credentials.get({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        allowCredentials: known(options.allowCredentials),
      },
    });
    return {
      id: signed.id,
      rawId: text(signed.rawId),
      type: signed.type,
      response: {
        clientDataJSON: text(signed.response.clientDataJSON),
        authenticatorData: text(signed.response.authenticatorData),
        signature: text(signed.response.signature),
      },
    };
  };

  const words = {
    NotAllowedError: "Nothing was confirmed: it was cancelled, or took too long. Try again.",
    InvalidStateError: "This key is a passkey of yours already.",
    SecurityError: "Browsers take no passkeys under this address.",
  };

  const optionsOf = async (form) => {
    const answer = await fetch(form.dataset.options, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(new FormData(form)),
    });
    const said = await answer.json();
    if (answer.ok) return said;
    if (said.type && said.type.endsWith(":step-up")) {
      location.assign(`/account/confirm?next=${encodeURIComponent(location.pathname)}`);
      return null;
    }
    throw new Error([said.detail, said.remedy && `${said.remedy}.`].filter(Boolean).join(" "));
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const button = form.querySelector("[data-passkey-button]");
    const error = form.querySelector("[data-passkey-error]");
    const say = (message) => { error.textContent = message; error.hidden = !message; };
    button.hidden = false;
    if (!window.PublicKeyCredential) {
      button.disabled = true;
      say("This browser takes no passkeys here.");
      continue;
    }
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      say("");
      button.disabled = true;
      try {
        const options = await optionsOf(form);
        if (!options) return;
        const answer = await (form.dataset.passkey === "create" ? make : sign)(options);
        form.elements.answer.value = JSON.stringify(answer);
        form.submit();
      } catch (problem) {
        say(words[problem.name] || problem.message);
        button.disabled = false;
      }
    });
  }
})();
