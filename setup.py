"""Map the top-level ``wsdl_cache/`` into the package; setup.cfg has everything else."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["yunxin_soap", "yunxin_soap.*"]), "yunxin_soap.wsdl_cache"],
    package_dir={"yunxin_soap.wsdl_cache": "wsdl_cache"},
    package_data={
        "yunxin_soap": ["py.typed", "locale/*/LC_MESSAGES/*"],
        "yunxin_soap.campaign": ["report.html.j2"],
        "yunxin_soap.django": ["templates/admin/yunxin/*"],
        "yunxin_soap.sandbox.asmx": ["templates/*"],
        "yunxin_soap.sandbox.inbox": ["static/*", "templates/*"],
        "yunxin_soap.wsdl_cache": ["*.wsdl"],
    },
)
