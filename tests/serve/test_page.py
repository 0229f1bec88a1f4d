"""The page in real headless Chromium, with a fake microphone that hears a file."""

import re

import pytest

from tests.serve.conftest import KITCHEN, running

FRONT_DOOR_SECONDS = 8.21  # examples/places.tsv


@pytest.fixture(scope="module")
def browser(open_browser):
    with open_browser() as page:
        yield page


@pytest.fixture
def page(browser, real_server):
    """The page without keywords, light and wide; what went wrong in the console fails the test that it was in."""
    browser.open(real_server.url)
    browser.script("localStorage.clear()")
    browser.open(real_server.url)
    browser.complaints()
    yield browser
    assert browser.complaints() == []


def search_kitchen(page):
    page.find("#file").send_keys(str(KITCHEN))
    page.wait(lambda: page.find("#progress").get_attribute("hidden") and page.found(), "detections in the file")


def overflow(page):
    return page.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")


def test_typed_keyword_is_heard_by_the_microphone(page, spoken):
    page.add("front door")
    assert page.text(".keyword .said") == "/ˈfɹʌnt ˈdɔɹ/"
    page.find("#microphone").click()
    page.wait(lambda: page.find("#microphone").get_attribute("aria-pressed") == "true", "the microphone")
    page.wait(lambda: float(page.find("#level").get_attribute("aria-valuenow")) > -45, "sound")
    page.wait(page.found, "the phrase")
    ((name, seconds, score),) = page.found()
    assert name == "front door"
    assert seconds == pytest.approx(FRONT_DOOR_SECONDS - spoken[1], abs=0.6)  # a microphone takes a while to start
    assert score > 0.4
    page.wait(lambda: "front door" in page.script("return document.getElementById('announcer').textContent"), "words")
    page.wait(lambda: page.find(".play").click() is None, "a clip to be clicked")
    page.wait(lambda: page.find(".play").get_attribute("aria-pressed") == "true", "the clip to play")
    page.wait(lambda: page.find(".play").get_attribute("aria-pressed") == "false", "the clip to end")
    page.find("#microphone").click()
    page.wait(lambda: page.text("#microphone") == "Use the microphone", "the end")


def test_recording_is_searched_and_again_for_new_words(page):
    page.add("front door")
    search_kitchen(page)
    ((name, seconds, _),) = page.found()
    assert (name, seconds) == ("front door", pytest.approx(FRONT_DOOR_SECONDS, abs=0.2))
    assert page.text("#source") == "kitchen.flac"
    assert re.fullmatch(r"best 0\.\d\d", page.text(".best"))
    page.add("call your sister")
    page.wait(lambda: len(page.found()) == 2, "the second phrase")
    page.find(".play").click()
    page.wait(lambda: page.find(".play").get_attribute("aria-pressed") == "true", "the clip to play")


def test_recording_may_be_dropped(page):
    page.add("front door")
    page.drop("kitchen.flac", KITCHEN.read_bytes())
    page.wait(page.found, "detections in the dropped file")
    assert page.found()[0][1] == pytest.approx(FRONT_DOOR_SECONDS, abs=0.2)


def test_what_is_no_audio_is_told(page):
    page.drop("notes.txt", b"no audio at all" * 100)
    page.wait(lambda: page.text("#source-error"), "the sentence")
    assert page.text("#source-error").startswith("Notes.txt: cannot be read as audio")
    page.add("front door")
    page.drop("kitchen.flac", KITCHEN.read_bytes())
    page.wait(page.found, "detections in the next file")
    assert page.text("#source-error") == ""


def test_what_cannot_be_spoken_is_told_beside_the_field(page):
    from selenium.webdriver.common.keys import Keys

    page.find("#new-keyword").send_keys("hey {N OW", Keys.ENTER)
    page.wait(lambda: "closing brace" in page.text("#new-said"), "the sentence")
    assert page.find("#new-keyword").get_attribute("aria-describedby") == "new-said"
    assert page.find("#new-keyword").get_attribute("aria-invalid") == "true"
    assert page.all(".keyword") == []
    page.find("#new-keyword").send_keys("1 V AH0}", Keys.ENTER)
    page.wait(lambda: page.all(".keyword"), "the keyword")
    page.wait(lambda: "ˈnoʊvə" in page.text(".keyword .said"), "how it is said")


def test_keyboard_is_enough(page):
    from selenium.webdriver.common.keys import Keys

    page.press(Keys.TAB)
    assert page.focused() == "new-keyword"
    page.press("front door", Keys.ENTER)
    page.wait(lambda: page.all(".keyword"), "the keyword")
    walk = []
    for _ in range(6):
        page.press(Keys.TAB)
        walk.append(page.focused())
    assert walk == ["primary", "microphone", "file", "quiet edit", "quiet remove", "range"]
    before = float(page.text("output"))
    page.press(Keys.ARROW_RIGHT)
    assert float(page.text("output")) == pytest.approx(before + 0.01)
    page.back(2)  # to "Correct"
    page.press(Keys.ENTER)
    page.wait(lambda: page.find(".pronunciation").is_displayed(), "the field")
    page.press("{F R AH N T} door", Keys.ENTER)
    page.wait(lambda: not page.find(".pronunciation").is_displayed(), "the field to close")
    assert page.focused() == "quiet edit"
    page.press(Keys.ENTER, "{F R", Keys.ENTER)
    page.wait(lambda: "closing brace" in page.text(".keyword .error"), "the sentence")
    page.press(Keys.ENTER)
    page.press(Keys.ESCAPE)
    page.find("#file").send_keys(str(KITCHEN))
    page.press(Keys.TAB, Keys.ENTER)  # remove
    page.wait(lambda: not page.all(".keyword"), "no keyword")
    assert page.focused() == "new-keyword"


def test_everything_has_a_name(page):
    page.add("front door")
    search_kitchen(page)
    nameless = page.script(
        """return [...document.querySelectorAll("button, input, canvas, [role=meter], progress")]
        .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length))
        .map((e) => e.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_phone_needs_no_sideways_scrolling(page, real_server, dark):
    page.open(real_server.url, 360, 740, dark)
    assert overflow(page) <= 0
    page.add("supercalifragilisticexpialidocious kitchen thermostat")
    page.add("front door")
    search_kitchen(page)
    page.find(".edit").click()
    page.find("#new-keyword").send_keys("hey {N OW")
    page.wait(lambda: "brace" in page.text("#new-said"), "the sentence")
    assert overflow(page) <= 0


def test_dark_is_dark_and_legible(page, real_server):
    colour = "return getComputedStyle(document.body)[arguments[0]].match(/\\d+/g).slice(0, 3).map(Number)"
    brightness = {}
    for dark in (False, True):
        page.open(real_server.url, dark=dark)
        brightness[dark] = [sum(page.script(colour, name)) / 765 for name in ("backgroundColor", "color")]
    assert brightness[False][0] > 0.9 > 0.2 > brightness[False][1]
    assert brightness[True][0] < 0.15 < 0.85 < brightness[True][1]


def test_still_where_motion_is_not_wanted(page, real_server):
    page.open(real_server.url, still=True)
    page.script("document.getElementById('microphone').setAttribute('aria-pressed', 'true')")
    assert page.script("return getComputedStyle(document.querySelector('.lamp')).animationName") == "none"


def test_nothing_is_asked_of_others(page, real_server):
    page.requests()
    page.open(real_server.url)
    page.add("front door")
    search_kitchen(page)
    asked = page.requests()
    assert f"{real_server.url}static/app.js" in asked
    assert [url for url in asked if not url.startswith((real_server.url, real_server.socket_url, "blob:"))] == []


def test_keywords_are_there_after_a_reload(page, real_server):
    page.add("front door")
    page.open(real_server.url)
    assert page.text(".keyword .name") == "front door"


def test_no_microphone_is_told(open_browser, real_server):
    with open_browser(microphone="none") as page:
        page.open(real_server.url)
        page.find("#microphone").click()
        page.wait(lambda: page.text("#source-error"), "the sentence")
        assert "microphone" in page.text("#source-error")
        assert page.find("#microphone").get_attribute("aria-pressed") == "false"


def test_page_outlives_the_server(open_browser):
    with open_browser() as page:
        with running() as first:
            page.open(first.url)
            page.add("front door")
            port = first.url.rstrip("/").rpartition(":")[2]
        page.wait(lambda: page.find("#banner").is_displayed(), "the banner")
        assert "Start watchword serve again" in page.text("#banner")
        with running("--port", port):
            page.wait(lambda: page.find("#connection").get_attribute("data-state") == "open", "the server")
            assert not page.find("#banner").is_displayed()
            search_kitchen(page)
            assert page.found()[0][0] == "front door"
