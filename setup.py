"""Maps the top-level ``wsdl_cache/`` into the package; all else is in setup.cfg."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["yunxin_soap", "yunxin_soap.*"]), "yunxin_soap.wsdl_cache"],
    package_dir={"yunxin_soap.wsdl_cache": "wsdl_cache"},
    package_data={
        "yunxin_soap": ["py.typed"],
        "yunxin_soap.sandbox.inbox": ["static/*"],
        "yunxin_soap.wsdl_cache": ["*.wsdl"],
    },
)
