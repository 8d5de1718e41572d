from dataclasses import replace

from .conftest import Search


def test_workers_import_the_plugins_of_a_space_however_the_user_consented(search: Search) -> None:
    run = search(trials=1)
    settings = run.settings
    with_plugin = replace(
        settings,
        space_toml='[space]\nplugins = ["json"]\n' + settings.space_toml.replace("[space]", ""),
    )

    job = with_plugin.job("1", run.candidates()[0].architecture)

    assert job.plugins == ("json",)
    assert settings.job("1", job.architecture).plugins == ()


def test_what_a_search_imports_follows_from_its_energy_model_and_an_export_needs_none_of_it(
    search: Search,
) -> None:
    settings = search(trials=1).settings

    by_module = replace(settings, energy_model="lab_energy:MODEL")
    by_file = replace(by_module, energy_toml="the text of a file")

    assert by_module.modules_of_others == ("lab_energy",)
    assert by_module.to_dict()["plugins"] == ["lab_energy"]
    assert by_module.claims("mine")["plugins"] is None
    assert by_file.modules_of_others == ()
    assert type(settings).from_dict({**settings.to_dict(), "plugins": ["evil"]}) == settings
