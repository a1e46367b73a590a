// The gallery: music that plays, one piece at a time, and animations that stop. It stands behind
// the modules of the studio that make the sound (see gallery.py).

const FRAME_SECONDS = 0.01;

let playing = null; // the button of the piece that plays
const player = new Player(() => new Sound(new AudioContext()), (on) => on || finish());

function setUpMusic(button) {
  const piece = JSON.parse(button.dataset.music);
  const { frames } = piece;
  const picture = button.closest(".music").querySelector("svg");
  const head = document.createElementNS(picture.namespaceURI, "path");
  head.classList.add("head");
  picture.append(head);
  const { width, height } = picture.viewBox.baseVal;

  const follow = () => {
    if (playing !== button) return head.removeAttribute("d");
    const frame = player.position ?? 0;
    head.setAttribute("d", `M${(frame / frames) * width} 0V${height}`);
    requestAnimationFrame(follow);
  };
  button.addEventListener("click", () => {
    const stops = playing === button;
    player.stop();
    finish();
    if (stops) return;
    playing = button;
    button.dataset.on = "";
    button.setAttribute("aria-label", button.getAttribute("aria-label").replace("Play", "Stop"));
    player.change({
      piece, loop: [0, frames], repeat: false, frameSeconds: FRAME_SECONDS, transpose: 0, program: 0,
    });
    player.play().then(follow);
  });
  button.hidden = false;
}

function finish() {
  if (!playing) return;
  delete playing.dataset.on;
  playing.setAttribute("aria-label", playing.getAttribute("aria-label").replace("Stop", "Play"));
  playing = null;
}

/** Gives an animation a button; it begins still if the reader prefers less motion. */
async function setUpAnimation(image, still) {
  const picture = document.createElement("canvas");
  const button = document.createElement("button");
  const show = (moves) => {
    image.hidden = !moves;
    picture.hidden = moves;
    button.toggleAttribute("data-on", moves);
    button.setAttribute("aria-label", `${moves ? "Stop" : "Play"} the animation`);
  };
  button.type = "button";
  button.className = "play";
  button.addEventListener("click", () => show(image.hidden));
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", image.alt);
  const frame = document.createElement("div");
  frame.className = "animation";
  image.replaceWith(frame);
  frame.append(image, picture, button);
  show(!still);
  await image.decode();
  [picture.width, picture.height] = [image.naturalWidth, image.naturalHeight];
  picture.getContext("2d").drawImage(image, 0, 0); // the first frame
}

const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
document.querySelectorAll("button[data-music]").forEach(setUpMusic);
document.querySelectorAll('article img[src$=".gif"]').forEach((image) => setUpAnimation(image, still));
