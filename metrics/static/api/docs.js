"use strict";

// Swagger UI has its dark colours below this class of <html>.
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const drawTheme = () => {
  const { theme } = document.documentElement.dataset;
  document.documentElement.classList.toggle("dark-mode", theme === "dark" || (theme !== "light" && prefersDark.matches));
};
prefersDark.addEventListener("change", drawTheme);
drawTheme();

// A plugin of Swagger UI. The path of an operation is a link in its markup, within the button that opens the operation:
// screen readers cannot announce it, and it is a second stop for Tab that does nothing. With this plugin it is text.
const pathsAsText = ({ React }) => {
  const Text = ({ text }) => React.createElement("span", null, text);
  return {
    wrapComponents: {
      OperationSummaryPath: (Original) => (props) =>
        React.createElement(Original, {
          ...props,
          getComponent: (name, ...rest) => (name === "DeepLink" ? Text : props.getComponent(name, ...rest)),
        }),
    },
  };
};

// Swagger UI gives most of its fields no name, the button that closes a dialog neither, and some buttons a name that is
// not the text on them. The observer names what was added since.
const nameOf = (field) => {
  const parameter = field.closest("[data-param-name]")?.dataset.paramName;
  if (parameter) return parameter;
  if (field.matches(".examples-select-element")) return "Example";
  return field.matches("textarea") ? "Body of the request" : "Value";
};
const setNames = () => {
  const root = document.getElementById("swagger-ui");
  for (const field of root.querySelectorAll(":is(input, select, textarea):not([aria-label])")) {
    if (!field.labels.length) field.setAttribute("aria-label", nameOf(field));
  }
  for (const button of root.querySelectorAll(".close-modal:not([aria-label])")) button.setAttribute("aria-label", "Close");
  for (const button of root.querySelectorAll(".auth-btn-wrapper [aria-label]")) button.removeAttribute("aria-label");
};
new MutationObserver(setNames).observe(document.getElementById("swagger-ui"), { childList: true, subtree: true });
